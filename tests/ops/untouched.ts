/** Tensors without memory: proof that a call was refused before anything was computed. */

import type { Backend } from "../../src/backend/mod.ts";
import { type Shape, Tensor } from "../../src/tensor.ts";

/** A backend that throws when anything but its name is used: no kernel, no allocation. */
export function untouchedBackend(): Backend {
  return new Proxy({} as Backend, {
    get(_target, property) {
      if (property === "name") return "untouched";
      throw new Error(`backend.${String(property)} was reached`);
    },
  });
}

const shared = untouchedBackend();

/** A tensor of such a backend. */
export function untouched(shape: Shape, backend = shared): Tensor {
  const storage = { bytes: 0, freed: false, version: 0 };
  return new Tensor(backend, shape, storage, Float32Array);
}
