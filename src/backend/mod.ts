/**
 * What computes: memory for tensors and one method for each kernel. Layers and operations are
 * written once, against this interface.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import type { Backend } from "../tensor.ts";
import { devices } from "./devices.ts";
import { WasmBackend } from "./wasm.ts";
import { checkModule } from "./wasm/binary.ts";
import { processors } from "./wasm/threads.ts";

export type { Backend };
export { devices };

/** What {@linkcode createBackend} takes; every part has a default. */
export interface BackendOptions {
  /**
   * Which device computes: "wasm"; "webgpu", even where its adapter is none but the processor; or
   * "auto", the default, a GPU where there is one and otherwise Wasm. "auto" never takes an adapter
   * that computes on the processor.
   */
  readonly device?: typeof devices[number];
  /**
   * Told why "auto" took Wasm: a {@linkcode DeviceLostError} if there is a GPU that failed, and
   * another {@linkcode PembrokeError} where there is none, or only an adapter that computes on the
   * processor, which it names.
   */
  readonly onFallback?: (reason: PembrokeError) => void;
  /**
   * Threads to compute with, the caller's included; "auto" takes as many as the machine has,
   * 16 at most, which is the default. Where there is no shared memory (a page that is not cross-origin isolated, an edge
   * runtime) it is one: `backend.threads` tells.
   */
  readonly threads?: number | "auto";
  /**
   * Kernels compiled by the caller, where compiling WebAssembly from bytes is forbidden: one thread,
   * and no GPU.
   */
  readonly module?: WebAssembly.Module;
}

/**
 * Makes a backend: the device asked for, or with "auto" the fastest there is. What was really made
 * stands in its `name`.
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
  const { device = "auto", module, threads = "auto", onFallback } = options;
  if (!devices.includes(device)) {
    const names = devices.map((d) => `"${d}"`).join(" or ");
    throw new ArgumentError("createBackend", "device", device, names);
  }
  if (
    threads !== "auto" && !(Number.isInteger(threads) && threads >= 1 && threads <= mostThreads)
  ) {
    const takes = `"auto" or a whole number from 1 to ${mostThreads}`;
    throw new ArgumentError("createBackend", "threads", threads, takes);
  }
  if (device === "webgpu") return await gpu(true);
  if (module !== undefined) {
    checkModule(module);
    return new WasmBackend({ name: "", module });
  }
  if (device === "auto") {
    try {
      return await gpu(false);
    } catch (error) {
      if (!(error instanceof PembrokeError)) throw error;
      onFallback?.(error);
    }
  }
  const count = threads === "auto" ? await availableThreads() : threads;
  const threaded = count > 1 ? await WasmBackend.withThreads(count) : undefined;
  return threaded ?? new WasmBackend();
}

/** The GPU; its code is loaded where WebGPU is asked for, or may be there. */
async function gpu(software: boolean): Promise<Backend> {
  const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: unknown } };
  if (!navigator?.gpu) throw new PembrokeError("webgpu: this runtime has no navigator.gpu");
  if (!software && lacksGpu()) throw new PembrokeError("webgpu: this machine has no GPU");
  const { WebGpuBackend } = await import("./webgpu.ts");
  return await WebGpuBackend.create({ software });
}

/**
 * Whether Linux shows no GPU, where Deno lets one look. To ask for adapters would take time there, and
 * tens of megabytes for a driver that computes on the processor.
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

/** More do not pay: a layer's work falls into a few dozen pieces. */
const mostThreads = 64;

/** As many as the machine has processors, within reason. */
async function availableThreads(): Promise<number> {
  return Math.min(await processors(), 16);
}
