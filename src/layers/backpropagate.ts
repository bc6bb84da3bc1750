/**
 * The backward pass of a graph.
 *
 * @module
 */

import { add } from "../ops/arithmetic.ts";
import { type Tensor, withShape } from "../tensor.ts";
import type { Step } from "./fuse.ts";

/** A tensor, and how many gradients are views of it. */
interface Shared {
  /** The tensor to dispose of. Undefined for the caller's. */
  readonly owner?: Tensor;
  users: number;
}

/** The gradient of a value. */
interface Gradient {
  readonly tensor: Tensor;
  readonly shared: Shared;
}

/** The gradients of values that a backward pass still needs. Sums them where paths meet. */
class Gradients implements Disposable {
  readonly #gradients = new Map<number, Gradient>();

  /** Adds a gradient to that of a value, and takes over one use of `shared`. */
  add(value: number, tensor: Tensor, shared: Shared): void {
    shared.users++;
    const old = this.#gradients.get(value);
    if (!old) {
      this.#gradients.set(value, { tensor, shared });
      return;
    }
    try {
      if (old.shared.owner && old.shared.users === 1) {
        add(old.tensor, tensor, { out: old.tensor });
        return;
      }
      const sum = add(old.tensor, tensor);
      release(old);
      this.#gradients.set(value, { tensor: sum, shared: { owner: sum, users: 1 } });
    } finally {
      release({ tensor, shared });
    }
  }

  /** Removes and returns the gradient of a value. */
  take(value: number): Gradient | undefined {
    const gradient = this.#gradients.get(value);
    this.#gradients.delete(value);
    return gradient;
  }

  /** Frees the memory of all gradients. */
  [Symbol.dispose](): void {
    for (const gradient of this.#gradients.values()) release(gradient);
    this.#gradients.clear();
  }
}

function release({ shared }: Gradient): void {
  if (--shared.users === 0) shared.owner?.dispose();
}

/**
 * Computes the gradients of the parameters of all steps, and of the input.
 *
 * @param steps The steps of the forward pass.
 * @param output The index of the value that `dy` is the gradient of.
 * @param needsInput Whether to compute the gradient of the input.
 * @returns The gradient of the input, undefined if it is not needed. If it is a view of dy, it owns
 * no memory.
 */
export function backpropagate(
  steps: readonly Step[],
  output: number,
  dy: Tensor,
  x: Tensor,
  needsInput: boolean,
): Tensor | undefined {
  const needed = valuesWithGradients(steps, needsInput);
  using gradients = new Gradients();
  gradients.add(output, dy, { users: 0 });
  for (const step of steps.toReversed()) {
    const gradient = gradients.take(step.output);
    if (!gradient || !needed.has(step.output)) {
      step.layer.forget(); // nothing depends on it
      if (gradient) release(gradient);
      continue;
    }
    try {
      backwardStep(step, gradient, needed, gradients);
    } finally {
      release(gradient);
    }
  }
  if (!needsInput) return undefined;
  const dx = gradients.take(-1);
  if (!dx) return zerosLike(x);
  const { owner } = dx.shared;
  return owner ? withShape(owner, dx.tensor.shape) : dx.tensor.view(x.shape);
}

/** The values whose gradients are needed: the input, and all that follow from parameters or it. */
function valuesWithGradients(steps: readonly Step[], needsInput: boolean): ReadonlySet<number> {
  const needed = new Set(needsInput ? [-1] : []);
  for (const { layer, inputs, output } of steps) {
    const isTrained = [...layer.stateDict().values()].some(({ requiresGrad }) => requiresGrad);
    if (isTrained || inputs.some((input) => needed.has(input))) needed.add(output);
  }
  return needed;
}

/** Runs the backward pass of one step, and passes the gradients of its inputs on. */
function backwardStep(
  { layer, inputs }: Step,
  { tensor: dy, shared }: Gradient,
  needed: ReadonlySet<number>,
  gradients: Gradients,
): void {
  if (!inputs.some((input) => needed.has(input))) return layer.backwardParameters(dy);
  const created = new Map<Tensor["storage"], Shared>();
  const results = layer.backwardInto(dy).map((tensor): Gradient => {
    if (tensor.storage === dy.storage) return { tensor, shared };
    const known = created.get(tensor.storage) ?? { owner: tensor, users: 0 };
    created.set(tensor.storage, known);
    return { tensor, shared: known };
  });
  for (const own of created.values()) own.users++; // until all are passed on
  try {
    for (const [i, { tensor, shared }] of results.entries()) {
      if (needed.has(inputs[i])) gradients.add(inputs[i], tensor, shared);
    }
  } finally {
    for (const own of created.values()) release({ tensor: own.owner!, shared: own });
  }
}

function zerosLike(x: Tensor): Tensor {
  const zeros = x.backend.empty(x.shape);
  x.backend.fill(zeros, 0);
  return zeros;
}
