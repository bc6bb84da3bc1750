/**
 * Loss functions and their gradients.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { disposable, type Tensor } from "../tensor.ts";
import { checkFraction, checkOptions, checkShape, checkTensor, disposeOnError } from "./checks.ts";

/**
 * A loss and its gradient.
 *
 * @internal
 */
export interface LossResult {
  /** The mean loss of the batch, [1]. */
  readonly loss: Tensor;
  /** The gradient with respect to the input, in the input's shape. */
  readonly gradient: Tensor;
}

/**
 * Options of {@linkcode crossEntropy}.
 *
 * @internal
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
