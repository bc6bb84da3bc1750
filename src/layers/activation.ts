/**
 * Activation layers of single elements.
 *
 * @module
 */

import type { Activation } from "../backend/geometry.ts";
import { activate, activateBackward, activations, savesOutput } from "../ops/activation_kinds.ts";
import { checkAnyShape } from "../ops/checks.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkNotInPlace, type Repeatable } from "./forward.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";

/**
 * The base class of activations that compute each element of the output from one of the input.
 *
 * @internal
 */
export abstract class ElementwiseActivation extends Layer implements Repeatable {
  /** The forward pass may overwrite its input. In training mode only some can; see `forward`. */
  override readonly inPlace = true;
  readonly #activation: Activation;

  /** Creates a layer that computes an activation function. */
  constructor(activation: Activation) {
    super();
    this.#activation = activation;
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
    return input;
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    const { forward, backward } = ElementwiseActivation.prototype;
    return this.forward === forward && this.backward === backward ? 0 : undefined;
  }

  /**
   * See {@linkcode Layer.forward}.
   *
   * @throws {ArgumentError} Also when `out` is x in training mode, and the gradient needs x.
   */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options), keepsY = savesOutput(this.#activation);
    if (this.training && !keepsY) checkNotInPlace(this.type, out, x);
    const y = activate(this.type, x, this.#activation, { out });
    this.save(keepsY ? y : x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const [saved] = this.recall();
    return activateBackward(this.type, dy, saved, this.#activation, {});
  }
}

/** The rectified linear unit max(x, 0), `torch.nn.ReLU`. */
export class ReLU extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "ReLU";
  /** How layers before it compute it, too. */
  override readonly fusedAs = "relu";

  /** Creates the layer. */
  constructor() {
    super(activations.relu());
  }
}

/** The rectified linear unit up to 6, min(max(x, 0), 6), `torch.nn.ReLU6`. */
export class ReLU6 extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "ReLU6";
  /** How layers before it compute it, too. */
  override readonly fusedAs = "relu6";

  /** Creates the layer. */
  constructor() {
    super(activations.relu6());
  }
}

/** x where x is positive, negativeSlope · x elsewhere, `torch.nn.LeakyReLU`. */
export class LeakyReLU extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "LeakyReLU";

  /**
   * Creates the layer.
   *
   * @param negativeSlope The slope below 0. Default: 0.01.
   * @throws {ArgumentError} When the slope is not finite.
   */
  constructor(readonly negativeSlope = 0.01) {
    super(activations.leakyRelu("LeakyReLU", negativeSlope));
  }
}

/** 1 / (1 + exp(−x)), `torch.nn.Sigmoid`. */
export class Sigmoid extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "Sigmoid";

  /** Creates the layer. */
  constructor() {
    super(activations.sigmoid());
  }
}

/** The hyperbolic tangent, `torch.nn.Tanh`. */
export class Tanh extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "Tanh";

  /** Creates the layer. */
  constructor() {
    super(activations.tanh());
  }
}

/** x · sigmoid(x), also called Swish, `torch.nn.SiLU`. */
export class SiLU extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "SiLU";
  /** How layers before it compute it, too. */
  override readonly fusedAs = "silu";

  /** Creates the layer. */
  constructor() {
    super(activations.silu());
  }
}

/** x · min(max(x + 3, 0), 6) / 6, `torch.nn.Hardswish`. */
export class Hardswish extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "Hardswish";
  /** How layers before it compute it, too. */
  override readonly fusedAs = "hardswish";

  /** Creates the layer. */
  constructor() {
    super(activations.hardswish());
  }
}

/** min(max(alpha · x + beta, 0), 1), `torch.nn.Hardsigmoid` by default. */
export class Hardsigmoid extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "Hardsigmoid";

  /**
   * Creates the layer.
   *
   * @param alpha The slope. Default: 1/6.
   * @param beta The value at 0. Default: 0.5.
   * @throws {ArgumentError} When a parameter is not finite.
   */
  constructor(readonly alpha = 1 / 6, readonly beta = 0.5) {
    super(activations.hardsigmoid("Hardsigmoid", alpha, beta));
  }
}

/** x · Φ(x), Φ being the normal distribution, `torch.nn.GELU`. */
export class GELU extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "GELU";

  /**
   * Creates the layer.
   *
   * @param approximate "none", the default, or "tanh", which computes Φ by the hyperbolic tangent.
   * @throws {ArgumentError} When `approximate` is neither.
   */
  constructor(readonly approximate: "none" | "tanh" = "none") {
    super(activations.gelu("GELU", approximate));
  }
}

/**
 * log(1 + exp(beta · x)) / beta, and x where beta · x is above the threshold, `torch.nn.Softplus`.
 */
export class Softplus extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "Softplus";

  /**
   * Creates the layer.
   *
   * @param beta The sharpness of the bend at 0. Default: 1.
   * @param threshold From here on, the function is linear. Default: 20.
   * @throws {ArgumentError} When beta is 0, or a parameter is not finite.
   */
  constructor(readonly beta = 1, readonly threshold = 20) {
    super(activations.softplus("Softplus", beta, threshold));
  }
}

/** min(max(x, minVal), maxVal), `torch.nn.Hardtanh`. A limit may be infinite. */
export class Hardtanh extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "Hardtanh";

  /**
   * Creates the layer.
   *
   * @param minVal The lower limit. Default: −1.
   * @param maxVal The upper limit. Default: 1.
   * @throws {ArgumentError} When maxVal is below minVal, or a limit is NaN.
   */
  constructor(readonly minVal = -1, readonly maxVal = 1) {
    super(activations.hardtanh("Hardtanh", minVal, maxVal));
  }
}

/** x where x is positive, alpha · (exp(x) − 1) elsewhere, `torch.nn.ELU`. */
export class ELU extends ElementwiseActivation {
  /** The name in `torch.nn`. */
  override readonly type = "ELU";

  /**
   * Creates the layer.
   *
   * @param alpha The limit for small x is −alpha.
   * @throws {ArgumentError} When alpha is negative or not finite.
   */
  constructor(readonly alpha = 1) {
    super(activations.elu("ELU", alpha));
  }
}
