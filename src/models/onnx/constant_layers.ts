/**
 * Layers with constants of an ONNX graph. Training leaves them as they are.
 *
 * @module
 */

import { kernelsOf } from "../../backend/interface.ts";
import { ElementwiseActivation } from "../../layers/activation.ts";
import { checkForward, type ForwardOptions, Layer } from "../../layers/layer.ts";
import { BatchNorm, type BatchNormParameters } from "../../layers/norm.ts";
import { constantParameter, type Parameter } from "../../layers/parameter.ts";
import { activateBackward } from "../../ops/activation_kinds.ts";
import { add } from "../../ops/arithmetic.ts";
import { checkAnyShape, checkTensor, disposeOnError, produce } from "../../ops/checks.ts";
import type { Shape, Tensor } from "../../tensor.ts";

/**
 * (x − mean) · weight + bias for each channel: a batch normalisation with these statistics in training
 * mode, too. Convolutions before it compute it.
 */
export class ChannelAffine extends BatchNorm {
  override readonly type = "ChannelAffine";
  protected override readonly ranks = [2, 3, 4];
  override readonly parameters: BatchNormParameters;

  constructor(numFeatures: number) {
    super("ChannelAffine", numFeatures, { eps: 0 });
    const buffer = { isBuffer: true };
    const constant = (value: number) => constantParameter([numFeatures], value, buffer);
    this.parameters = {
      ...{ weight: constant(1), bias: constant(0) },
      ...{ running_mean: constant(0), running_var: constant(1) },
    };
  }

  /** Always true, so that the statistics of batches do not count. */
  override get frozen(): boolean {
    return true;
  }
}

/** scale · x + shift, in any shape. */
export class Affine extends Layer {
  override readonly type = "Affine";

  constructor(readonly scale: number, readonly shift: number) {
    super();
  }

  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
    return input;
  }

  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    const y = this.#compute(x, this.shift, out);
    this.saveShape(x);
    return y;
  }

  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy, this.recallShape());
    return this.#compute(dy, 0);
  }

  #compute(x: Tensor, shift: number, out?: Tensor): Tensor {
    return produce(this.type, x, { shape: x.shape, out }, (y) => {
      y.backend.fill(y, shift);
      kernelsOf(x).axpby(y, x, this.scale, 1);
    });
  }
}

/** The same as a part of a step function, whose gradient is 0. */
export class Step extends Affine {
  override backward(dy: Tensor): Tensor {
    const shape = this.recallShape();
    checkTensor(this.type, "dy", dy, dy, shape);
    return zeros(dy, shape);
  }
}

/** A constant for each sample of its input, of which only the batch size counts. */
export class Repeated extends Layer {
  override readonly type = "Repeated";
  override readonly parameters: { readonly weight: Parameter };

  /**
   * @param shape The shape of the constant in the file.
   * @param sizes That of the output for a sample: with more axes of size 1 in front, or fewer.
   */
  constructor(shape: Shape, readonly sizes: Shape) {
    super();
    this.parameters = { weight: constantParameter(shape, 0, { isBuffer: true }) };
  }

  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 1);
    return [input[0], ...this.sizes];
  }

  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options), shape = this.outputShape(x.shape);
    const y = produce(this.type, x, { shape, out }, (y) => {
      y.backend.fill(y, 0);
      add(y, this.value("weight").view([1, ...this.sizes]), { out: y });
    });
    this.saveShape(x);
    return y;
  }

  override backward(dy: Tensor): Tensor {
    const shape = this.recallShape();
    checkTensor(this.type, "dy", dy, dy, this.outputShape(shape));
    return zeros(dy, shape);
  }

  /** The gradient of the input in evaluation mode. */
  inputGradient(_dy: Tensor, x: Tensor): Tensor {
    return zeros(x, x.shape);
  }
}

/** A tensor of zeros on the backend of another one. */
export function zeros({ backend }: Tensor, shape: Shape): Tensor {
  return disposeOnError(backend.empty(shape), (dx) => {
    backend.fill(dx, 0);
    return dx;
  });
}

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
