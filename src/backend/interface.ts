/**
 * What the operations in ops/ know about a backend beyond its public interface: its kernels.
 *
 * @module
 */

import { type Backend, type Shape, Tensor, type Values } from "../tensor.ts";
import type { Kernels } from "./kernels.ts";

/** A call of a kernel. */
export interface KernelCall {
  readonly kernel: (...args: readonly unknown[]) => unknown;
  readonly args: readonly unknown[];
}

/** A backend with its kernels. Every backend that `createBackend()` makes is one. */
export interface ComputeBackend extends Backend {
  /** One function for each operation and each gradient. */
  readonly kernels: Kernels;
  /**
   * Returns a view of a tensor's elements from `offset` on. Missing on devices where a tensor
   * cannot begin inside the memory of another one. See {@linkcode partOf}.
   */
  part?<V extends Values>(tensor: Tensor<V>, offset: number, shape: Shape): Tensor<V>;
  /**
   * Runs `compute`, and returns the calls of kernels that it makes. Returns undefined if it also
   * creates, fills or writes to tensors, because calling the kernels again would not do that.
   * Missing where recording saves little.
   */
  record?(compute: () => void): readonly KernelCall[] | undefined;
}

/** The kernels of a backend, or of the backend that a tensor lies on. */
export function kernelsOf(owner: Backend | Tensor<Values>): Kernels {
  const backend = owner instanceof Tensor ? owner.backend : owner;
  return (backend as ComputeBackend).kernels;
}

/** Whether a tensor of this backend can be a part of another one: see {@linkcode partOf}. */
export function canSplit(backend: Backend): boolean {
  return (backend as ComputeBackend).part !== undefined;
}

/**
 * Returns a view of a tensor's elements from `offset` on.
 *
 * @param offset 0, unless {@linkcode canSplit}.
 * @param shape A shape that fits into the rest of the tensor.
 */
export function partOf<V extends Values>(
  tensor: Tensor<V>,
  offset: number,
  shape: Shape,
): Tensor<V> {
  tensor.assertAlive("partOf");
  if (offset > 0) return (tensor.backend as ComputeBackend).part!(tensor, offset, shape);
  return new Tensor(tensor.backend, shape, tensor.storage, tensor.type, false);
}
