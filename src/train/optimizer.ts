/**
 * The base class of optimisers.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import { Layer } from "../layers/layer.ts";
import { distinct, Parameter } from "../layers/parameter.ts";
import { checkNumber, disposeOnError } from "../ops/checks.ts";
import { sameShape, type Tensor } from "../tensor.ts";
import { escapeText } from "../weights/io/quote.ts";

/**
 * The parameters of an optimiser: a model, or parameters by name.
 */
export type Trainable = Layer | ReadonlyMap<string, Parameter>;

/**
 * Returns each parameter by its first name.
 *
 * @throws {ArgumentError} When `trainable` is neither a model nor a map of parameters.
 */
export function parametersOf(op: string, trainable: Trainable): ReadonlyMap<string, Parameter> {
  if (trainable instanceof Layer) return distinct(trainable.stateDict());
  if (kindOf(trainable) === "Map" && [...trainable.values()].every((p) => p instanceof Parameter)) {
    return distinct(trainable);
  }
  throw new ArgumentError(
    op,
    "trainable",
    trainable,
    "a model, or a map of parameters as stateDict() returns",
  );
}

/**
 * Options of an optimiser by name, and its class as `type`.
 */
export type OptimizerSettings = Readonly<Record<string, unknown>>;

/**
 * The base class of optimisers, {@linkcode SGD} and {@linkcode AdamW}. In each step, they move the
 * parameters of a model by their gradients. Dispose of an optimiser to free the memory of its state; the
 * model stays.
 */
export abstract class Optimizer implements Disposable {
  /** Number of steps so far. */
  steps = 0;
  /**
   * The number of steps that did not update a parameter, such as a frozen one, by its name.
   *
   * @internal
   */
  missed: ReadonlyMap<string, number> = new Map();
  readonly #parameters: ReadonlyMap<string, Parameter>;
  /** The later names of parameters that layers share. */
  readonly #otherNames: ReadonlySet<string>;
  /** State tensors by name, such as "velocity.features.0.weight". */
  readonly #state = new Map<string, Tensor>();

  /**
   * Creates an optimiser of all parameters that require gradients.
   *
   * @param trainable A model, or parameters by name, such as a part of `model.stateDict()`.
   * @param lr The learning rate. It can change between steps.
   */
  constructor(trainable: Trainable, public lr: number) {
    const all = parametersOf("Optimizer", trainable);
    checkNumber("Optimizer", "lr", lr);
    this.#parameters = new Map([...all].filter(([, { isBuffer }]) => !isBuffer));
    const named = trainable instanceof Layer ? trainable.stateDict() : trainable;
    this.#otherNames = new Set([...named.keys()].filter((name) => !all.has(name)));
  }

  /** The parameters that a step updates, by name: those that require gradients. */
  get parameters(): ReadonlyMap<string, Parameter> {
    return new Map([...this.#parameters].filter(([, { requiresGrad }]) => requiresGrad));
  }

  /**
   * Updates all parameters that have a gradient. Call `zeroGrad()` before the next backward pass.
   *
   * @throws {ArgumentError} When the learning rate is not finite.
   */
  step(): void {
    checkNumber("Optimizer", "lr", this.lr); // another one would destroy all weights
    for (const [name, { tensor, grad }] of this.parameters) {
      if (!tensor || !grad) continue;
      for (const kind of this.stateKinds) this.state(kind, name, tensor); // may run out of memory
    }
    this.steps++;
    const missed = new Map(this.missed);
    for (const [name, { requiresGrad, tensor, grad }] of this.#parameters) {
      if (requiresGrad && tensor && grad) this.update(name, tensor, grad);
      else missed.set(name, (missed.get(name) ?? 0) + 1);
    }
    this.missed = missed;
  }

  /** Sets the gradients of all parameters to 0, also of those that are not trained any more. */
  zeroGrad(): void {
    for (const parameter of this.#parameters.values()) parameter.zeroGrad();
  }

  /**
   * The kind of optimiser, and what its state depends on, for a checkpoint.
   *
   * @internal
   */
  get settings(): OptimizerSettings {
    return {};
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
   * @throws {FileError} When a name does not match a parameter, or is that of another optimiser.
   */
  async loadStateDict(
    names: Iterable<string>,
    read: (name: string, into: Tensor) => Promise<void>,
    file = "checkpoint",
  ): Promise<void> {
    const loaded = new Map<string, Tensor>();
    try {
      for (const name of names) {
        const [, parameter] = /^\w+\.(.*)$/.exec(name) ?? [], quoted = escapeText(name);
        if (this.#otherNames.has(parameter)) continue; // older checkpoints have the state twice
        const tensor = this.#parameters.get(parameter)?.tensor;
        if (!tensor) throw new FileError(file, `${quoted} does not match a parameter of the model`);
        const own = this.stateNames(parameter);
        if (own.size > 0 && !own.has(name)) {
          const reason = `${quoted} belongs to another optimizer; use the one of the saved run`;
          throw new FileError(file, reason);
        }
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

  /**
   * The names of the states that a parameter has once it is updated.
   *
   * @internal
   */
  stateNames(parameter: string): ReadonlySet<string> {
    return new Set(this.stateKinds.map((kind) => `${kind}.${parameter}`));
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

  /**
   * The kinds of {@linkcode Optimizer.state} that each parameter has, such as "velocity". A step
   * allocates them before it updates any parameter, so that running out of memory changes none.
   */
  protected get stateKinds(): readonly string[] {
    return [];
  }

  /** Updates one parameter. */
  protected abstract update(name: string, w: Tensor, dw: Tensor): void;

  /** Returns a state tensor of a parameter, in the shape of `w`. If it is new, it holds zeros. */
  protected state(kind: string, name: string, w: Tensor): Tensor {
    const key = `${kind}.${name}`, old = this.#state.get(key);
    if (old?.backend === w.backend && sameShape(old.shape, w.shape)) return old;
    const tensor = disposeOnError(w.backend.empty(w.shape), (tensor) => {
      w.backend.fill(tensor, 0);
      return tensor;
    });
    old?.dispose();
    this.#state.set(key, tensor);
    return tensor;
  }
}
