/** The guards around outputs, which tests rely on. */

import type { ComputeBackend } from "../../src/backend/interface.ts";
import { Tensor } from "../../src/tensor.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import { guarded } from "./harness.ts";
import { hasHighMemory } from "./high_memory.ts";

testOnEveryBackend("guarded() notices a write beside its tensor", async (backend) => {
  const memory = backend as ComputeBackend, size = 5;
  {
    using out = guarded(backend, [size], Float32Array.of(1, 2, 3, 4, 5));
    backend.write(out.tensor, Float32Array.of(9), size - 1);
    assertEquals([...await out.read()], [1, 2, 3, 4, 9]);
  }
  if (!hasHighMemory(backend)) { // there, the memory ends with the tensor
    using out = guarded(backend, [size]);
    const longer = new Tensor(backend, [size + 1], out.tensor.storage, Float32Array, false);
    backend.write(longer, Float32Array.of(9), size);
    await assertRejects(() => out.read(), Error, "wrote behind its output");
  }
  if (memory.part) { // elsewhere, nothing lies in front
    using out = guarded(backend, [size]);
    backend.fill(memory.part(out.tensor, -1, [1]), 9);
    await assertRejects(() => out.read(), Error, "wrote before its output");
  }
});
