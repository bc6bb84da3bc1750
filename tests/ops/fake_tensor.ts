/** Tensors without memory. They prove that a call fails before it computes anything. */

import type { Backend } from "../../src/backend/mod.ts";
import { type Shape, Tensor } from "../../src/tensor.ts";

/** Creates a backend with a name only. Any other access throws: kernels, allocations. */
export function fakeBackend(): Backend {
  return new Proxy({} as Backend, {
    get(_target, property) {
      if (property === "name") return "fake";
      throw new Error(`backend.${String(property)} was used`);
    },
  });
}

const defaultBackend = fakeBackend();

/** Creates a tensor without memory. */
export function fakeTensor(shape: Shape, backend = defaultBackend): Tensor {
  const storage = { bytes: 0, freed: false, version: 0 };
  return new Tensor(backend, shape, storage, Float32Array);
}
