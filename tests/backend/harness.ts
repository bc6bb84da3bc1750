/** What the tests of backends share: random inputs, guarded outputs, derived tolerances. */

import { canSplit, partOf } from "../../src/backend/interface.ts";
import type { Backend } from "../../src/backend/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { disposable, elements, type Shape, type Tensor } from "../../src/tensor.ts";
import { assert, assertEquals } from "../assert.ts";
import type { NumArray } from "../reference.ts";
import { hasHighMemory } from "./high_memory.ts";

/** float32 values with a shape, outside any backend. */
export interface Floats extends NumArray {
  readonly data: Float32Array;
}

/** Random numbers from a seed, the same on every machine. */
export class Draw {
  readonly #generator: RandomGenerator;

  constructor(seed: number) {
    this.#generator = new RandomGenerator(seed);
  }

  /** An integer from `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + this.#generator.random() % (most - least + 1);
  }

  /** One of the choices. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)];
  }

  /** Values from [from, to). */
  floats(shape: Shape, from = -1, to = 1): Floats {
    const data = new Float32Array(elements(shape));
    this.#generator.uniform(data, from, to);
    return { shape, data };
  }

  /** Few different values of both signs, with zeros and −0: many ties. */
  coarse(shape: Shape, values: readonly number[] = [-2, -1, -0, 0, 1, 2]): Floats {
    const data = new Float32Array(elements(shape));
    for (let i = 0; i < data.length; i++) data[i] = this.pick(values);
    return { shape, data };
  }
}

export function floats(shape: Shape, values: ArrayLike<number>): Floats {
  return { shape, data: Float32Array.from(values) };
}

export function upload(backend: Backend, x: Floats): Tensor {
  return backend.upload(x.data, x.shape);
}

/** Fills the memory around outputs. No kernel computes it; NaN would be harder to compare. */
const guard = Math.fround(-12345.678);
/** Floats of a guard. */
const margin = 64;

/** How many shapes each backend has counted in the current test. */
const shapeCounts = new WeakMap<Backend, number>();

/**
 * Whether to skip this one of many shapes. A GPU's driver compiles programs for each shape, and the
 * end of the memory needs few. Such backends get only the first and every sixteenth.
 */
export function skipsShape(backend: Backend): boolean {
  const before = shapeCounts.get(backend) ?? 0;
  shapeCounts.set(backend, before + 1);
  const few = backend.device === "webgpu" || hasHighMemory(backend);
  return few && before % 16 !== 0;
}

/** Starts counting shapes anew, at the start of a test. */
export function resetShapes(backend: Backend): void {
  shapeCounts.delete(backend);
}

/** The tensors that an operation gets for its inputs. */
type Tensors<T> = { -readonly [K in keyof T]: null extends T[K] ? Tensor | null : Tensor };

/** A tensor between two guards. */
export interface Guarded extends Disposable {
  readonly tensor: Tensor;
  /** Returns its values, after checking that the guards are unchanged. */
  read(): Promise<Float32Array>;
}

/**
 * Creates a tensor between two guards, filled with NaN if there are no values. It is a part of a larger
 * tensor, because memory of its own would be padded to a cache line, and because a guard before it must
 * touch it. There is no guard in front where a tensor cannot be a part, as on WebGPU: nothing lies there.
 */
export function guarded(backend: Backend, shape: Shape, values?: Float32Array): Guarded {
  const size = elements(shape), start = canSplit(backend) ? margin : 0, end = start + size;
  // at the end of the memory, the tensor itself is to end there
  const held = new Float32Array(end + (hasHighMemory(backend) ? 0 : margin)).fill(guard);
  held.set(values ?? new Float32Array(size).fill(NaN), start);
  const whole = backend.upload(held, [held.length]);
  const read = async () => {
    const written = await whole.read();
    assert(written.subarray(0, start).every((v) => v === guard), "wrote before its output");
    assert(written.subarray(end).every((v) => v === guard), "wrote behind its output");
    return written.slice(start, end);
  };
  return { tensor: partOf(whole, start, shape), read, [Symbol.dispose]: () => whole.dispose() };
}

/**
 * Runs an operation on arrays and returns its output. Checks that it wrote all of the output and
 * nothing else, and changed no input.
 *
 * @param start The old values of the output, for operations that add to it. Default: NaN.
 */
export async function compute<const T extends readonly (Floats | null)[]>(
  backend: Backend,
  inputs: T,
  shape: Shape,
  run: (out: Tensor, ...tensors: Tensors<T>) => Tensor,
  start?: Floats,
): Promise<Float32Array> {
  const before = backend.bytesInUse;
  let written: Float32Array;
  {
    using out = guarded(backend, shape, start?.data);
    using tensors = disposable(inputs.map((x) => x && upload(backend, x)));
    const y = run(out.tensor, ...tensors as unknown as Tensors<T>);
    assert(y === out.tensor, "the operation returns the tensor it was given");
    // all at once, because some runtimes poll a GPU only every few milliseconds
    const [values, ...after] = await Promise.all([out.read(), ...tensors.map((x) => x?.read())]);
    for (const [i, values] of after.entries()) {
      if (values) assertEquals(bits(values), bits(inputs[i]!.data), "an input changed");
    }
    written = values;
  }
  assertEquals(backend.bytesInUse, before, "bytes in use afterwards");
  return written;
}

/** The bits of float32 values: they also compare NaN and −0. */
export function bits(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

/**
 * The tolerance between float32 and float64 for a sum of k products. Each product and each addition
 * rounds by 2⁻²⁴ of sums that grow like √k, and the errors grow like √k: k · 2⁻²⁴ · max|x| ·
 * max|w|, doubled.
 */
export function sumTolerance(k: number, x: NumArray, w: NumArray): { abs: number; rel: number } {
  return { abs: (k + 1) * 2 ** -23 * largest(x) * largest(w), rel: 2 ** -23 };
}

/** The largest finite magnitude. */
export function largest({ data }: NumArray): number {
  let top = 0;
  for (let i = 0; i < data.length; i++) {
    const v = Math.abs(data[i]);
    if (v > top && v < Infinity) top = v;
  }
  return top;
}

/** a + b, element by element: a gradient a that was added to b. */
export function sum(a: NumArray, b: NumArray): Float64Array {
  return Float64Array.from(a.data, (v, i) => v + b.data[i]);
}
