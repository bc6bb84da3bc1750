/** A backend whose tensors lie at the end of the addresses that 32 bits can hold. */

import type { Backend } from "../../src/backend/mod.ts";
import { addressLimit, Allocator } from "../../src/backend/wasm/allocator.ts";
import { type Build, instantiate } from "../../src/backend/wasm/binary.ts";
import { blockBytes } from "../../src/backend/wasm/generated/geometry.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import { PembrokeError } from "../../src/errors.ts";

/** Pages of a memory of 4 GiB. Only those that are touched take memory. */
const pages = 65536;
/** Bytes at the end that every other block avoids, so that one of the later ones ends there. */
const reserved = 1 << 16;

/** Allocates from the end of the memory down. Which of several tensors ends there is drawn. */
class HighAllocator extends Allocator {
  readonly #free: { start: number; end: number }[];
  #draw = 1;

  constructor(memory: WebAssembly.Memory, base: number) {
    super(memory, base);
    this.#free = [{ start: base, end: addressLimit }];
  }

  override alloc(bytes: number): number {
    const size = roundUp(bytes);
    this.#draw = (this.#draw * 16807) % 0x7fffffff;
    const limit = this.#draw % 2 ? addressLimit : addressLimit - reserved;
    const index = this.#free.findLastIndex(({ start, end }) =>
      Math.min(end, limit) - start >= size
    );
    if (index < 0) throw new PembrokeError("out of memory: the addresses are used up");
    const { start, end } = this.#free[index], top = Math.min(end, limit);
    const rest = [{ start, end: top - size }, { start: top, end }];
    this.#free.splice(index, 1, ...rest.filter((block) => block.start < block.end));
    this.inUse += size;
    return top - size;
  }

  override free(start: number, bytes: number): void {
    const size = roundUp(bytes);
    this.inUse -= size;
    this.#free.push({ start, end: start + size });
    this.#free.sort((a, b) => a.start - b.start);
    for (let i = this.#free.length - 1; i > 0; i--) {
      if (this.#free[i - 1].end !== this.#free[i].start) continue;
      this.#free[i - 1].end = this.#free[i].end;
      this.#free.splice(i, 1);
    }
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(Math.max(bytes, 1) / 64) * 64;
}

const backends = new WeakSet<Backend>();

/** Whether {@linkcode highMemoryBackend} made the backend. */
export function hasHighMemory(backend: Backend): boolean {
  return backends.has(backend);
}

/** Creates a backend with a memory of 4 GiB, and allocates from its end. */
export function highMemoryBackend(build: Build): Backend {
  const memory = new WebAssembly.Memory({ initial: pages });
  const kernels = instantiate(build.module, memory), base = kernels.heapBase();
  const allocator = new HighAllocator(memory, Math.ceil((base + blockBytes) / 64) * 64);
  const backend = new WasmBackend(build, { memory, base, kernels, allocator });
  backends.add(backend);
  return backend;
}
