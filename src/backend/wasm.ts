/**
 * The Wasm backend: tensors in one WebAssembly memory, kernels from assembly/.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import {
  type Build,
  type Exports,
  fastestBuild,
  instantiate,
  threadedBuilds,
} from "./wasm/binary.ts";
import type { Kernels } from "./kernels.ts";
import { MemoryBackend } from "./memory_backend.ts";
import { forwardKernels } from "./wasm/forward.ts";
import { sharedMemory, WasmMemory } from "./wasm/memory.ts";
import { quantizedKernels } from "./wasm/quantized.ts";
import { Team, threadBytes } from "./wasm/threads.ts";
import { trainingKernels } from "./wasm/training.ts";

/** Kernels in WebAssembly, on the caller's thread and on workers. */
export class WasmBackend extends MemoryBackend<WasmMemory> {
  readonly device = "wasm";
  readonly name: string;
  readonly threads: number;
  readonly kernels: Kernels;
  protected readonly memory: WasmMemory;
  readonly #team: Team | undefined;

  /**
   * @param build Compiled kernels; without them the fastest build that this engine takes.
   * @param own What runs on several threads has its memory already.
   */
  constructor(build: Build | undefined = fastestBuild, own = alone(build)) {
    super();
    this.name = build?.name ? `wasm (${build.name})` : "wasm";
    this.#team = own.team;
    this.threads = own.team?.threads ?? 1;
    const memory = new WasmMemory(this, own.memory, own.base);
    this.memory = memory;
    this.kernels = {
      ...forwardKernels(memory, own.kernels),
      ...quantizedKernels(memory, own.kernels),
      ...trainingKernels(memory, own.kernels),
    };
  }

  /**
   * A backend that computes with so many threads; undefined where there is no shared memory, or no
   * worker starts.
   *
   * @param build Kernels for threads; without them the fastest build that this engine takes, which is
   * loaded only now.
   */
  static async withThreads(threads: number, build?: Build): Promise<WasmBackend | undefined> {
    const memory = sharedMemory();
    if (memory) build ??= await threadedBuild();
    if (!memory || !build) return undefined;
    const kernels = instantiate(build.module, memory);
    const address = Math.ceil(kernels.heapBase() / 64) * 64;
    const team = await Team.start(build, memory, address, threads, kernels);
    if (team.threads === 1) return undefined;
    const base = address + threadBytes(threads);
    const backend = new WasmBackend(build, { memory, base, kernels: team.lead(kernels), team });
    forgotten?.register(backend, team);
    return backend;
  }

  /** What is uploaded is computed with next: the workers wake while it is copied. */
  override upload(values: Float32Array | readonly number[], shape: Shape): Tensor {
    this.#team?.wake();
    return super.upload(values, shape);
  }

  override dispose(): void {
    super.dispose();
    this.#team?.dispose();
  }
}

/** The fastest build for several threads; a bundle may lie somewhere without the modules for it. */
async function threadedBuild(): Promise<Build | undefined> {
  const first = await threadedBuilds().next().catch(() => undefined);
  return first?.done ? undefined : first?.value;
}

/** Ends the workers of a backend that nobody disposed of; old edge runtimes have neither of the two. */
const forgotten = typeof FinalizationRegistry === "undefined"
  ? undefined
  : new FinalizationRegistry<Team>((team) => team.dispose());

/** What a backend computes with. */
interface Own {
  readonly memory: WebAssembly.Memory;
  /** The first address that is free. */
  readonly base: number;
  readonly kernels: Exports;
  readonly team?: Team;
}

function alone(build: Build | undefined): Own {
  if (!build) {
    throw new PembrokeError(
      "this engine cannot compile the kernels: it lacks WebAssembly SIMD, or forbids compiling " +
        "from bytes (pass a WebAssembly.Module as `module` then)",
    );
  }
  const memory = new WebAssembly.Memory({ initial: 16 });
  const kernels = instantiate(build.module, memory);
  return { memory, base: kernels.heapBase(), kernels };
}
