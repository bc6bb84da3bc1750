/**
 * What the operations in ops/ know about a backend beyond its public interface: its kernels.
 *
 * @module
 */

import { type Backend, Tensor, type Values } from "../tensor.ts";
import type { Kernels } from "./kernels.ts";

/** A backend with its kernels. Every backend that `createBackend()` makes is one. */
export interface ComputeBackend extends Backend {
  /** One function for each operation and each gradient. */
  readonly kernels: Kernels;
}

/** The kernels of a backend, or of the backend that a tensor lies on. */
export function kernelsOf(owner: Backend | Tensor<Values>): Kernels {
  const backend = owner instanceof Tensor ? owner.backend : owner;
  return (backend as ComputeBackend).kernels;
}
