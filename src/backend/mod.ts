/**
 * Backends: devices that hold tensors and compute with them. Layers and operations run on any of
 * them.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import { checkFunction, checkOptions } from "../options.ts";
import type { Backend } from "../tensor.ts";
import { devices } from "./devices.ts";
import { WasmBackend } from "./wasm.ts";
import { checkModule } from "./wasm/binary.ts";
import { loadFastestBuild } from "./wasm/one_thread.ts";
import { processors } from "./wasm/threads.ts";
import { findAdapter, reasonOf } from "./webgpu/adapter.ts";

export type { Backend };
export { devices };

/** Options of {@linkcode createBackend}. All of them are optional. */
export interface BackendOptions {
  /**
   * The device to compute on. Default: "auto": the GPU if there is one, otherwise Wasm. "webgpu"
   * also accepts software adapters, which compute on the CPU; "auto" never does.
   */
  readonly device?: typeof devices[number];
  /**
   * Called with the reason when "auto" falls back to Wasm: a {@linkcode DeviceLostError} if the GPU
   * failed, another {@linkcode PembrokeError} if there is no GPU or only a software adapter.
   */
  readonly onFallback?: (reason: PembrokeError) => void;
  /**
   * The number of threads of Wasm, the caller's included. Default: "auto": one for each processor,
   * at most 16. Without shared memory (a page that is not cross-origin isolated, an edge runtime)
   * there is one; see `backend.threads`.
   */
  readonly threads?: number | "auto";
  /**
   * The compiled kernels, for runtimes that forbid compiling WebAssembly from bytes. The backend
   * has one thread then, and "auto" uses no GPU. "webgpu" ignores them.
   */
  readonly module?: WebAssembly.Module;
}

/** More threads would not help, because a layer has only a few dozen items of work. */
const maxThreads = 64;

/**
 * Creates a backend on the requested device. Its `name` tells which device it uses.
 *
 * @throws {ArgumentError} When an option is invalid.
 * @throws {PembrokeError} When the device is not available.
 *
 * @example
 * ```ts
 * import { createBackend } from "./mod.ts";
 *
 * using backend = await createBackend();
 * console.log(backend.name);
 * ```
 */
export async function createBackend(options: BackendOptions = {}): Promise<Backend> {
  const op = "createBackend";
  checkOptions(op, options, ["device", "threads", "module", "onFallback"]);
  const { device = "auto", module, threads = "auto", onFallback } = options;
  if (!devices.includes(device)) {
    throw new ArgumentError(op, "device", device, '"auto", "wasm" or "webgpu"');
  }
  const isCount = (n: number) => Number.isInteger(n) && n >= 1 && n <= maxThreads;
  if (threads !== "auto" && !isCount(threads)) {
    const expected = `"auto" or a whole number from 1 to ${maxThreads}`;
    throw new ArgumentError(op, "threads", threads, expected);
  }
  checkFunction(op, "onFallback", onFallback);
  if (device === "webgpu") return await createGpuBackend(true);
  if (module !== undefined) {
    checkModule(module);
    return new WasmBackend({ name: "", module });
  }
  if (device === "auto") {
    try {
      return await createGpuBackend(false);
    } catch (error) {
      if (!(error instanceof PembrokeError)) throw error;
      onFallback?.(error);
    }
  }
  const count = threads === "auto" ? await availableThreads() : threads;
  const threaded = count > 1 ? await WasmBackend.withThreads(count) : undefined;
  return threaded ?? new WasmBackend(await loadFastestBuild());
}

/**
 * Creates a WebGPU backend. Its code is loaded only where there is an adapter.
 *
 * @param software Whether to accept software adapters.
 */
async function createGpuBackend(software: boolean): Promise<Backend> {
  // checked first, because Deno loads WebGPU as soon as `navigator.gpu` is read
  if (!software && lacksGpu()) throw new PembrokeError("webgpu: this machine has no GPU");
  const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: unknown } };
  if (!navigator?.gpu) throw new PembrokeError("webgpu: this runtime has no navigator.gpu");
  const adapter = await findAdapter(software), WebGpuBackend = await loadWebGpu();
  return await WebGpuBackend.create({ adapter });
}

/** Loads the code of the WebGPU backend, which may be missing beside a bundle. */
async function loadWebGpu() {
  try {
    const { WebGpuBackend } = await import("./webgpu.ts");
    return WebGpuBackend;
  } catch (cause) {
    throw new PembrokeError(`webgpu: its code cannot be loaded (${reasonOf(cause)})`, { cause });
  }
}

/**
 * Whether there is certainly no GPU: Deno on Linux can look for its device files, if it has all
 * permissions. Requesting an adapter would take time, and tens of megabytes for a software driver.
 */
function lacksGpu(): boolean {
  if (!("Deno" in globalThis) || Deno.build?.os !== "linux") return false;
  return ["/dev/dri", "/dev/nvidiactl", "/dev/dxg"].every((path) => {
    if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return false;
    try {
      Deno.statSync(path);
      return false;
    } catch (error) {
      return error instanceof Deno.errors.NotFound;
    }
  });
}

/** The number of processors, at most 16. */
async function availableThreads(): Promise<number> {
  return Math.min(await processors(), 16);
}
