/**
 * The Wasm backend: tensors in one WebAssembly memory, kernels from assembly/.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import type { Shape, Tensor, Values } from "../tensor.ts";
import { type Build, type Exports, instantiate, threadedBuilds } from "./wasm/binary.ts";
import type { Allocator } from "./wasm/allocator.ts";
import type { KernelCall } from "./interface.ts";
import type { Kernels } from "./kernels.ts";
import { MemoryBackend } from "./memory_backend.ts";
import { depthwiseKernels } from "./wasm/depthwise.ts";
import { elementwiseKernels } from "./wasm/elementwise.ts";
import { forwardKernels } from "./wasm/forward.ts";
import { layoutKernels } from "./wasm/layout.ts";
import { rowNormKernels } from "./wasm/row_norm.ts";
import { sharedMemory, WasmMemory } from "./wasm/memory.ts";
import { fastestBuild } from "./wasm/one_thread.ts";
import { quantizedKernels } from "./wasm/quantized.ts";
import { threadBytes, ThreadPool } from "./wasm/threads.ts";
import { trainingKernels } from "./wasm/training.ts";

/** Kernels in WebAssembly, on one or more threads. */
export class WasmBackend extends MemoryBackend<WasmMemory> {
  readonly device = "wasm";
  readonly name: string;
  readonly threads: number;
  /** While {@linkcode WasmBackend.record} runs, kernels that also note their calls. */
  kernels: Kernels;
  protected readonly memory: WasmMemory;
  readonly #pool: ThreadPool | undefined;

  /**
   * @param build The kernels. Default: the fastest build that this engine supports.
   * @param parts An instance over a memory. Default: a new one, for one thread.
   */
  constructor(build: Build | undefined = fastestBuild, parts: WasmParts = createParts(build)) {
    super();
    this.name = build?.name ? `wasm (${build.name})` : "wasm";
    this.#pool = parts.pool;
    this.threads = parts.pool?.threads ?? 1;
    const memory = new WasmMemory(this, parts.memory, parts.base, parts.allocator);
    this.memory = memory;
    this.kernels = {
      ...forwardKernels(memory, parts.kernels),
      ...depthwiseKernels(memory, parts.kernels),
      ...elementwiseKernels(memory, parts.kernels),
      ...quantizedKernels(memory, parts.kernels),
      ...trainingKernels(memory, parts.kernels),
      ...layoutKernels(memory, parts.kernels),
      ...rowNormKernels(memory, parts.kernels),
    };
  }

  /**
   * Creates a backend with several threads.
   *
   * @param build Kernels for threads. Default: the fastest build that this engine supports.
   * @returns undefined if there is no shared memory, or no worker starts.
   */
  static async withThreads(threads: number, build?: Build): Promise<WasmBackend | undefined> {
    const memory = sharedMemory();
    if (memory) build ??= await threadedBuild();
    if (!memory || !build) return undefined;
    const kernels = instantiate(build.module, memory);
    const address = Math.ceil(kernels.heapBase() / 64) * 64;
    const pool = await ThreadPool.start(build, memory, address, threads, kernels);
    if (pool.threads === 1) return undefined;
    const base = address + threadBytes(threads);
    const backend = new WasmBackend(build, { memory, base, kernels: pool.wrap(kernels), pool });
    undisposed?.register(backend, pool);
    return backend;
  }

  /** Wakes the workers while it copies, because a kernel usually follows. */
  override upload(values: Float32Array | readonly number[], shape: Shape): Tensor {
    this.#pool?.wake();
    return super.upload(values, shape);
  }

  /** See {@linkcode ComputeBackend.part}. */
  part<V extends Values>(tensor: Tensor<V>, offset: number, shape: Shape): Tensor<V> {
    return this.memory.part(tensor, offset, shape);
  }

  /** See {@linkcode ComputeBackend.record}. */
  record(compute: () => void): readonly KernelCall[] | undefined {
    const { kernels, memory } = this, { changes } = memory, calls: KernelCall[] = [];
    this.kernels = recording(kernels, calls);
    try {
      compute();
    } finally {
      this.kernels = kernels;
    }
    return memory.changes === changes ? calls : undefined;
  }

  override dispose(): void {
    super.dispose();
    this.#pool?.dispose();
  }
}

/** The same kernels, whose calls are also added to a list. */
function recording(kernels: Kernels, calls: KernelCall[]): Kernels {
  return new Proxy(kernels, {
    get(target, name) {
      const kernel = Reflect.get(target, name);
      if (typeof kernel !== "function") return kernel;
      return (...args: unknown[]) => {
        calls.push({ kernel, args });
        return kernel(...args);
      };
    },
  });
}

/** The fastest build for several threads. Undefined if its module is missing beside a bundle. */
async function threadedBuild(): Promise<Build | undefined> {
  const first = await threadedBuilds().next().catch(() => undefined);
  return first?.done ? undefined : first?.value;
}

/**
 * Ends the workers of backends that were garbage collected without dispose(). Undefined in old
 * runtimes.
 */
const undisposed = typeof FinalizationRegistry === "undefined"
  ? undefined
  : new FinalizationRegistry<ThreadPool>((pool) => pool.dispose());

/** What a backend is made of. */
interface WasmParts {
  readonly memory: WebAssembly.Memory;
  /** The first address that is free. */
  readonly base: number;
  readonly kernels: Exports;
  readonly pool?: ThreadPool;
  /** Default: one that fills the memory from its beginning. */
  readonly allocator?: Allocator;
}

/** The parts of a backend with one thread. */
function createParts(build: Build | undefined): WasmParts {
  if (!build) {
    throw new PembrokeError(
      "cannot compile the kernels: this engine lacks WebAssembly SIMD, or forbids compiling " +
        "(pass a WebAssembly.Module as `module`)",
    );
  }
  const memory = new WebAssembly.Memory({ initial: 16 });
  const kernels = instantiate(build.module, memory);
  return { memory, base: kernels.heapBase(), kernels };
}
