/**
 * What computes: memory for tensors and one method for each kernel. Layers and operations are
 * written once, against this interface.
 *
 * @module
 */

import { ArgumentError } from "./errors.ts";
import type { Kernels } from "./backend/kernels.ts";
import type { Shape, Tensor, Values } from "./tensor.ts";
import { devices } from "./backend/devices.ts";
import { WasmBackend } from "./backend/wasm.ts";
import { checkModule } from "./backend/wasm/binary.ts";

export { devices };

export type { AdamWStep, Kernels, SgdStep } from "./backend/kernels.ts";

/** What {@linkcode createBackend} takes; every part has a default. */
export interface BackendOptions {
  /** Which device computes. Default "auto". */
  readonly device?: typeof devices[number];
  /** Kernels compiled by the caller, where compiling WebAssembly from bytes is forbidden. */
  readonly module?: WebAssembly.Module;
}

/**
 * A device with its memory. Two backends never share anything; `dispose()` gives all of it back.
 *
 * The kernels take arguments that the operations in `ops/` have checked, write their first
 * parameter and return at once: only reading waits. Call the operations instead.
 */
export interface Backend extends Kernels, Disposable {
  /** What really computes, for people: "wasm (relaxed simd)". */
  readonly name: string;
  /** What really computes, for programs. */
  readonly device: "wasm";
  /** Threads it computes with, the caller's included. */
  readonly threads: number;
  /** Bytes that live tensors take. */
  readonly bytesInUse: number;

  /** A tensor with these values, row by row. */
  upload(values: Float32Array | readonly number[], shape: Shape): Tensor;
  /** A tensor whose values are not defined until something is written to it. */
  empty(shape: Shape): Tensor;
  /** The same for indices. */
  emptyIndices(shape: Shape): Tensor<Int32Array>;
  /** The same for integers of 8 bits. */
  emptyInt8(shape: Shape): Tensor<Int8Array>;
  /** A tensor of indices with these values. */
  uploadIndices(values: Int32Array, shape: Shape): Tensor<Int32Array>;
  /** Overwrites the elements from `offset` on. */
  write(tensor: Tensor, values: Float32Array, offset?: number): void;
  /** Copies a tensor's elements out. */
  read<V extends Values>(tensor: Tensor<V>): Promise<V>;
  /** Gives a tensor's memory back. */
  free(tensor: Tensor<Values>): void;
  /** Gives everything back; the backend and its tensors are unusable from then on. */
  dispose(): void;
  /** Sets every element. */
  fill(tensor: Tensor, value: number): void;
}

/**
 * Makes a backend: the device asked for, or with "auto" the fastest there is. What was really made
 * stands in its `name`.
 *
 * @example
 * ```ts
 * import { createBackend } from "./backend.ts";
 *
 * using backend = await createBackend();
 * console.log(backend.name);
 * ```
 */
// deno-lint-ignore require-await -- devices other than Wasm are asked for, not made on the spot
export async function createBackend(options: BackendOptions = {}): Promise<Backend> {
  const { device = "auto", module } = options;
  if (!devices.includes(device)) {
    const names = devices.map((d) => `"${d}"`).join(" or ");
    throw new ArgumentError("createBackend", "device", device, names);
  }
  if (module === undefined) return new WasmBackend();
  checkModule(module);
  return new WasmBackend({ name: "", module });
}
