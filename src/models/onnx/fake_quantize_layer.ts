/**
 * Rounding activations as an ONNX graph in 8 bits does.
 *
 * @module
 */

import { ElementwiseActivation } from "../../layers/activation.ts";
import { activateBackward } from "../../ops/activation_kinds.ts";
import type { Tensor } from "../../tensor.ts";

/**
 * QuantizeLinear and DequantizeLinear: the nearest of 256 multiples of a scale, ties to even. Like
 * `torch.fake_quantize_per_tensor_affine`, its gradient is that of clamping.
 */
export class FakeQuantize extends ElementwiseActivation {
  override readonly type = "FakeQuantize";

  /**
   * @param scale The distance of neighbours, positive.
   * @param lowest The least of the integers: 0, or below.
   */
  constructor(readonly scale: number, readonly lowest: number) {
    super({ kind: "fakeQuantize", a: scale, b: lowest });
  }

  override backward(dy: Tensor): Tensor {
    const [x] = this.recall(), { scale, lowest } = this;
    const [a, b] = [(lowest - 0.5) * scale, (lowest + 255.5) * scale];
    return activateBackward(this.type, dy, x, { kind: "hardtanh", a, b }, {});
  }
}
