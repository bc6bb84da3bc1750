/**
 * Rounding weights to half precision.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { PembrokeError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { checkTensor, disposeOnError } from "./checks.ts";

/**
 * Rounds values to float16 (to nearest, ties to even), like `torch.Tensor.half`. {@linkcode linear}
 * accepts the result as weights, in half the memory. Values beyond 65504 become infinite, and below
 * 2⁻²⁵ zero. `read()` of the result returns the bits.
 *
 * @returns The shape of x. The caller disposes of it.
 * @throws {PembrokeError} On Wasm, which has no float16 kernels.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { half } from "./half.ts";
 * import { linear } from "./linear.ts";
 *
 * using backend = await createBackend();
 * if (backend.device === "webgpu") {
 *   using w = backend.upload([1, -0.5, 0.25, 100, 0, 3], [2, 3]);
 *   using rounded = half(w);
 *   using x = backend.upload([1, 2, 4], [1, 3]);
 *   using y = linear(x, rounded, null);
 *   console.log(await y.read()); // 1, 112
 * }
 * ```
 */
export function half(x: Tensor): Tensor<Uint16Array> {
  const op = "half";
  checkTensor(op, "x", x, x);
  const rounded = kernelsOf(x).emptyHalf?.(x.shape);
  if (!rounded) throw new PembrokeError(`${op}: ${x.backend.name} has no float16, only WebGPU has`);
  return disposeOnError(rounded, () => {
    kernelsOf(x).packHalf!(rounded, x, 0);
    return rounded;
  });
}
