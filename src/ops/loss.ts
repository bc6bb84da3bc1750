/**
 * Loss functions and their gradients.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { disposable, type Tensor } from "../tensor.ts";
import { activations } from "./activation_kinds.ts";
import { add, addBackward, mul, mulBackward } from "./arithmetic.ts";
import { checkFraction, checkOptions, checkShape, checkTensor, disposeOnError } from "./checks.ts";

/**
 * A loss and its gradient.
 */
export interface LossResult {
  /** The mean loss of the batch, [1]. */
  readonly loss: Tensor;
  /** The gradient with respect to the input, in the input's shape. */
  readonly gradient: Tensor;
}

/**
 * Options of {@linkcode crossEntropy}.
 */
export interface CrossEntropyOptions {
  /**
   * The share of the target probability spread over all classes (Szegedy et al. 2016). Default: 0.
   */
  readonly labelSmoothing?: number;
}

/**
 * Computes the cross-entropy of logits and its gradient, `torch.nn.functional.cross_entropy`. The
 * loss is the mean negative log-likelihood of the log-softmax. The gradient is
 * (softmax(x) − target) / N.
 *
 * @param x Logits, [N, C].
 * @param targets N class indices.
 * @param options `labelSmoothing` is the share of the target probability that is spread over all
 * classes (default 0).
 * @returns The `loss`, [1], and its `gradient` with respect to x, [N, C]. Declare the result with
 * `using`, which disposes of both.
 * @throws {ArgumentError} When the targets are not N class indices, or `labelSmoothing` is not
 * between 0 and 1.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { crossEntropy } from "./loss.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([0, 0]), [1, 2]);
 * using result = crossEntropy(x, [0]);
 * console.log(await result.loss.read(), await result.gradient.read()); // ln 2, [−½, ½]
 * ```
 */
export function crossEntropy(
  x: Tensor,
  targets: ArrayLike<number>,
  options: CrossEntropyOptions = {},
): LossResult & Disposable {
  const op = "crossEntropy";
  checkTensor(op, "x", x, x);
  checkShape(op, "x", x.shape, "[N, C]");
  checkOptions(op, options, ["labelSmoothing"]);
  const [n, c] = x.shape;
  if (typeof targets !== "object" || typeof targets?.length !== "number") {
    throw new ArgumentError(op, "targets", targets, "a list of classes, one for each row of x");
  }
  if (targets.length !== n) {
    throw new ArgumentError(op, "the number of targets", targets.length, `${n}, the rows of x`);
  }
  const classes = Array.from(targets);
  const invalid = classes.findIndex((t) => !Number.isInteger(t) || t < 0 || t >= c);
  if (invalid >= 0) {
    throw new ArgumentError(op, "a target", classes[invalid], `a class from 0 to ${c - 1}`);
  }
  const smoothing = checkFraction(op, "labelSmoothing", options.labelSmoothing ?? 0);
  using indices = x.backend.uploadIndices(Int32Array.from(classes), [n]);
  return disposeOnError(
    x.backend.empty([1]),
    (loss) =>
      disposeOnError(x.backend.empty(x.shape), (gradient) => {
        kernelsOf(x).crossEntropy(loss, gradient, x, indices, smoothing);
        return disposable({ loss, gradient });
      }),
  );
}

/**
 * Computes the mean squared error and its gradient, `torch.nn.functional.mse_loss`. The loss is the
 * mean of (x − target)² over all elements, and the gradient is 2 · (x − target) / their number.
 *
 * @param x The outputs of a model, any shape.
 * @param target What they should be, in the shape of x.
 * @returns The `loss`, [1], and its `gradient` with respect to x, in the shape of x. Declare the result
 * with `using`, which disposes of both.
 * @throws {ArgumentError} When the shapes differ.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { mseLoss } from "./loss.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([1, 2], [2]);
 * using target = backend.upload([1, 5], [2]);
 * using result = mseLoss(x, target);
 * console.log(await result.loss.read(), await result.gradient.read()); // 4.5, [0, −3]
 * ```
 */
export function mseLoss(x: Tensor, target: Tensor): LossResult & Disposable {
  const op = "mseLoss";
  checkTensor(op, "x", x, x);
  checkTensor(op, "target", target, x, x.shape);
  using share = x.backend.upload([1 / x.size], x.shape.map(() => 1));
  using difference = add(x, target, { alpha: -1 });
  return disposeOnError(
    mul(difference, share),
    (gradient) =>
      disposeOnError(sumOf(difference, gradient), (loss) => {
        add(gradient, gradient, { out: gradient });
        return disposable({ loss, gradient });
      }),
  );
}

/**
 * Computes the binary cross-entropy of logits and its gradient,
 * `torch.nn.functional.binary_cross_entropy_with_logits`. Each element is a class of its own, so that a
 * sample may have several classes or none. The loss is the mean of
 * −target · log(sigmoid(x)) − (1 − target) · log(1 − sigmoid(x)) over all elements, computed so that it
 * does not overflow. The gradient is (sigmoid(x) − target) / their number.
 *
 * @param x Logits, any shape.
 * @param target The probability that each should give, from 0 to 1, in the shape of x.
 * @returns The `loss`, [1], and its `gradient` with respect to x, in the shape of x. Declare the result
 * with `using`, which disposes of both.
 * @throws {ArgumentError} When the shapes differ.
 *
 * @example A photo with the first and the third of three labels
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { bceWithLogits } from "./loss.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload([0, 0, 0], [1, 3]);
 * using target = backend.upload([1, 0, 1], [1, 3]);
 * using result = bceWithLogits(x, target);
 * console.log(await result.loss.read(), await result.gradient.read()); // ln 2, [−⅙, ⅙, −⅙]
 * ```
 */
export function bceWithLogits(x: Tensor, target: Tensor): LossResult & Disposable {
  const op = "bceWithLogits";
  checkTensor(op, "x", x, x);
  checkTensor(op, "target", target, x, x.shape);
  const one = x.shape.map(() => 1);
  using share = x.backend.upload([-1 / x.size], one), minusOne = x.backend.upload([-1], one);
  // the loss of an element is −((target − 1)·x + min(x, 0) − log(1 + exp(−|x|)))
  using terms = add(target, minusOne);
  mul(terms, x, { out: terms });
  const kernels = kernelsOf(x);
  using part = x.backend.empty(x.shape);
  kernels.activation(part, x, activations.hardtanh(op, -Infinity, 0)); // min(x, 0)
  add(terms, part, { out: terms });
  kernels.activation(part, x, activations.leakyRelu(op, -1)); // |x|
  kernels.activation(part, part, activations.softplus(op, -1, 20)); // −log(1 + exp(−|x|))
  add(terms, part, { out: terms });
  mul(terms, share, { out: terms });
  return disposeOnError(
    sumOf(terms),
    (loss) =>
      disposeOnError(x.backend.empty(x.shape), (gradient) => {
        kernels.activation(gradient, x, activations.sigmoid());
        add(target, gradient, { alpha: -1, out: gradient });
        mul(gradient, share, { out: gradient });
        return disposable({ loss, gradient });
      }),
  );
}

/** Σ x, or Σ x·y, [1]: sums of as many rows as columns, if possible, so that each has few terms. */
function sumOf(x: Tensor, y?: Tensor): Tensor {
  let rows = Math.floor(Math.sqrt(x.size));
  while (x.size % rows > 0) rows--;
  const shape = [rows, x.size / rows], dx = x.view(shape);
  using sums = y ? mulBackward(dx, y.view(shape), [rows, 1]) : addBackward(dx, [rows, 1]);
  return addBackward(sums, [1]);
}
