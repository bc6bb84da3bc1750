/**
 * What optimisers share: parameters, a learning rate, and state beside each parameter.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import { Layer } from "../layers/layer.ts";
import { Parameter } from "../layers/parameter.ts";
import { checkNumber, disposeOnError } from "../ops/checks.ts";
import { sameShape, type Tensor } from "../tensor.ts";

/**
 * What an optimiser moves: a model, or some of its parameters by name.
 *
 * @internal
 */
export type Trainable = Layer | ReadonlyMap<string, Parameter>;

/**
 * Returns all parameters by name.
 *
 * @throws {ArgumentError} When `trainable` is neither a model nor a map of parameters.
 */
export function parametersOf(op: string, trainable: Trainable): ReadonlyMap<string, Parameter> {
  if (trainable instanceof Layer) return trainable.stateDict();
  if (kindOf(trainable) === "Map" && [...trainable.values()].every((p) => p instanceof Parameter)) {
    return trainable;
  }
  throw new ArgumentError(op, "trainable", trainable, "a model or a map of parameters");
}

/** Moves parameters along their gradients. */
export abstract class Optimizer implements Disposable {
  /** Steps taken so far. */
  steps = 0;
  /** The parameters it moves, by name. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** State tensors by name, "velocity.features.0.weight". */
  readonly #state = new Map<string, Tensor>();

  /**
   * Takes the parameters that require gradients.
   *
   * @param trainable A model, or parameters by name.
   * @param lr The learning rate; a schedule may change it between steps.
   */
  constructor(trainable: Trainable, public lr: number) {
    const all = parametersOf("Optimizer", trainable);
    checkNumber("Optimizer", "lr", lr);
    this.parameters = new Map([...all].filter(([, { requiresGrad }]) => requiresGrad));
  }

  /** Moves every parameter that has a gradient once. Gradients stay; zero them before the next. */
  step(): void {
    for (const [name, { tensor, grad }] of this.parameters) {
      if (tensor && grad) this.prepare(name, tensor);
    }
    this.steps++;
    for (const [name, { tensor, grad }] of this.parameters) {
      if (tensor && grad) this.update(name, tensor, grad);
    }
  }

  /** Sets the gradients of its parameters to 0. */
  zeroGrad(): void {
    for (const parameter of this.parameters.values()) parameter.zeroGrad();
  }

  /** Its state by name, for a checkpoint. */
  stateDict(): ReadonlyMap<string, Tensor> {
    return this.#state;
  }

  /**
   * Takes state from a checkpoint.
   *
   * @param names The names of the state tensors.
   * @param read Reads a tensor's values.
   * @param file What errors call the checkpoint.
   */
  async loadStateDict(
    names: Iterable<string>,
    read: (name: string, into: Tensor) => Promise<void>,
    file = "checkpoint",
  ): Promise<void> {
    const loaded = new Map<string, Tensor>();
    try {
      for (const name of names) {
        const [, parameter] = /^\w+\.(.*)$/.exec(name) ?? [];
        const tensor = this.parameters.get(parameter)?.tensor;
        if (!tensor) throw new FileError(file, `${name} belongs to no parameter of the model`);
        const state = tensor.backend.empty(tensor.shape);
        loaded.get(name)?.dispose();
        loaded.set(name, state);
        await read(name, state);
      }
    } catch (error) {
      for (const state of loaded.values()) state.dispose();
      throw error;
    }
    this.dispose();
    for (const [name, state] of loaded) this.#state.set(name, state);
  }

  /** Gives the memory of its state back. */
  dispose(): void {
    for (const tensor of this.#state.values()) tensor.dispose();
    this.#state.clear();
  }

  /** What `using` calls at the end of the block: {@linkcode Optimizer.dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Allocates the state of a parameter, so that running out of memory leaves all of them alone. */
  protected prepare(_name: string, _w: Tensor): void {}

  /** Moves one parameter. */
  protected abstract update(name: string, w: Tensor, dw: Tensor): void;

  /** A state tensor beside a parameter, and whether it was made just now (as zeros). */
  protected state(kind: string, name: string, w: Tensor): { tensor: Tensor; isNew: boolean } {
    const key = `${kind}.${name}`, old = this.#state.get(key);
    if (old && sameShape(old.shape, w.shape)) return { tensor: old, isNew: false };
    const tensor = disposeOnError(w.backend.empty(w.shape), (tensor) => {
      w.backend.fill(tensor, 0);
      return tensor;
    });
    old?.dispose();
    this.#state.set(key, tensor);
    return { tensor, isNew: true };
  }
}
