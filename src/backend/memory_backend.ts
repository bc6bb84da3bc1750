/**
 * A backend as the sum of its parts: a memory for tensors, and kernels over that memory.
 *
 * @module
 */

import { inspect, type Shape, type Tensor, type TensorStorage, type Values } from "../tensor.ts";
import type { ComputeBackend } from "./interface.ts";
import type { Kernels } from "./kernels.ts";
import type { TensorMemory } from "./tensor_memory.ts";

/** What every backend does with its memory. */
export abstract class MemoryBackend<M extends TensorMemory<TensorStorage>>
  implements ComputeBackend {
  abstract readonly name: string;
  abstract readonly device: ComputeBackend["device"];
  abstract readonly threads: number;
  abstract readonly kernels: Kernels;
  protected abstract readonly memory: M;

  /** What `console.log()` prints. */
  [inspect](): string {
    return `Backend ${this.name}, ${this.bytesInUse} bytes in use`;
  }

  get bytesInUse(): number {
    return this.memory.bytesInUse;
  }

  upload(values: Float32Array | readonly number[], shape: Shape): Tensor {
    return this.memory.upload(values, shape);
  }

  uploadIndices(values: Int32Array, shape: Shape): Tensor<Int32Array> {
    return this.memory.uploadIndices(values, shape);
  }

  empty(shape: Shape): Tensor {
    return this.memory.empty(shape);
  }

  emptyIndices(shape: Shape): Tensor<Int32Array> {
    return this.memory.emptyOf(Int32Array, shape);
  }

  emptyInt8(shape: Shape): Tensor<Int8Array> {
    return this.memory.emptyOf(Int8Array, shape);
  }

  fill(tensor: Tensor, value: number): void {
    this.memory.fill(tensor, value);
  }

  write(tensor: Tensor, values: Float32Array, offset?: number): void {
    this.memory.write(tensor, values, offset);
  }

  read<V extends Values>(tensor: Tensor<V>): Promise<V> {
    return this.memory.read(tensor);
  }

  free(tensor: Tensor<Values>): void {
    this.memory.free(tensor);
  }

  dispose(): void {
    this.memory.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
