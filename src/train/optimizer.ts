/**
 * The base class of optimisers.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { Layer } from "../layers/layer.ts";
import type { Parameter } from "../layers/parameter.ts";
import { sameShape, type Tensor } from "../tensor.ts";

/**
 * The parameters of an optimiser: a model, or parameters by name.
 *
 * @internal
 */
export type Trainable = Layer | ReadonlyMap<string, Parameter>;

/** The base class of optimisers, which update parameters by their gradients. */
export abstract class Optimizer implements Disposable {
  /** Number of steps so far. */
  steps = 0;
  /** The parameters to update, by name. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** State tensors by name, such as "velocity.features.0.weight". */
  readonly #state = new Map<string, Tensor>();

  /**
   * Creates an optimiser of all parameters that require gradients.
   *
   * @param trainable A model, or parameters by name.
   * @param lr The learning rate. It can change between steps.
   */
  constructor(trainable: Trainable, public lr: number) {
    const all = trainable instanceof Layer ? trainable.stateDict() : trainable;
    this.parameters = new Map([...all].filter(([, { requiresGrad }]) => requiresGrad));
  }

  /**
   * Updates all parameters that have a gradient. Call `zeroGrad()` before the next backward pass.
   */
  step(): void {
    this.steps++;
    for (const [name, { tensor, grad }] of this.parameters) {
      if (tensor && grad) this.update(name, tensor, grad);
    }
  }

  /** Sets the gradients of all parameters to 0. */
  zeroGrad(): void {
    for (const parameter of this.parameters.values()) parameter.zeroGrad();
  }

  /** The state tensors by name, for a checkpoint. */
  stateDict(): ReadonlyMap<string, Tensor> {
    return this.#state;
  }

  /**
   * Loads state tensors from a checkpoint.
   *
   * @param names The names of the state tensors.
   * @param read Reads the values of a tensor.
   * @param file The name of the checkpoint in error messages.
   * @throws {FileError} When a name does not match a parameter.
   */
  async loadStateDict(
    names: Iterable<string>,
    read: (name: string, into: Tensor) => Promise<void>,
    file = "checkpoint",
  ): Promise<void> {
    this.dispose();
    for (const name of names) {
      const [, parameter] = /^\w+\.(.*)$/.exec(name) ?? [];
      const tensor = this.parameters.get(parameter)?.tensor;
      if (!tensor) throw new FileError(file, `${name} does not match a parameter of the model`);
      const state = tensor.backend.empty(tensor.shape);
      this.#state.set(name, state);
      await read(name, state);
    }
  }

  /** Frees the memory of the state. */
  dispose(): void {
    for (const tensor of this.#state.values()) tensor.dispose();
    this.#state.clear();
  }

  /** Calls {@linkcode Optimizer.dispose}. `using` calls it at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Updates one parameter. */
  protected abstract update(name: string, w: Tensor, dw: Tensor): void;

  /** Returns a state tensor of a parameter. If it is new, it holds zeros. */
  protected state(kind: string, name: string, w: Tensor): { tensor: Tensor; isNew: boolean } {
    const key = `${kind}.${name}`, old = this.#state.get(key);
    if (old && sameShape(old.shape, w.shape)) return { tensor: old, isNew: false };
    const tensor = w.backend.empty(w.shape);
    w.backend.fill(tensor, 0);
    this.#state.set(key, tensor);
    return { tensor, isNew: true };
  }
}
