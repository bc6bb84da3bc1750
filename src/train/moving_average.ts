/**
 * An exponential moving average of a model's values.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Layer } from "../layers/layer.ts";
import { distinct, type Parameter } from "../layers/parameter.ts";
import { PembrokeError } from "../errors.ts";
import { copyOf } from "../ops/arithmetic.ts";
import { sameShape, type Tensor } from "../tensor.ts";

/**
 * An exponential moving average of all values of a model, running statistics included,
 * `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn(decay)` and `use_buffers`.
 *
 * @internal
 */
export class MovingAverage implements Disposable {
  readonly #averages = new Map<string, Tensor>();
  #isInUse = false;

  /** Creates an average without memory. */
  constructor(readonly model: Layer, readonly decay: number) {}

  /** The average of each parameter, by name. New ones are copies of the values. */
  stateDict(): ReadonlyMap<string, Tensor> {
    for (const [name, { tensor }] of this.#valued()) {
      const old = this.#averages.get(name);
      if (old?.backend === tensor.backend && sameShape(old.shape, tensor.shape)) continue;
      const copy = copyOf(tensor);
      old?.dispose();
      this.#averages.set(name, copy);
    }
    return this.#averages;
  }

  /**
   * Adds the present values.
   *
   * @param step The number of earlier updates. In the first ones the decay is at most
   * (1 + step) / (10 + step), so that the initial values are forgotten.
   */
  update(step: number): void {
    const averages = this.stateDict(), decay = Math.min(this.decay, (1 + step) / (10 + step));
    for (const [name, { tensor }] of this.#valued()) {
      kernelsOf(tensor).axpby(averages.get(name)!, tensor, 1 - decay, decay);
    }
  }

  /**
   * Checks that the model has values of its own.
   *
   * @param op The name of the function in error messages.
   * @throws {PembrokeError} While {@linkcode MovingAverage.during} runs.
   */
  checkUnused(op: string): void {
    if (this.#isInUse) throw new PembrokeError(`${op}: wait until withAverage() has ended`);
  }

  /** Runs a function while the model has the averages as its values. */
  async during<T>(run: () => T | Promise<T>): Promise<T> {
    this.checkUnused("withAverage");
    const parameters = this.#valued(), own = parameters.map(([, { tensor }]) => tensor);
    const averages = this.stateDict();
    for (const [name, parameter] of parameters) parameter.tensor = averages.get(name)!;
    this.#isInUse = true;
    try {
      return await run();
    } finally {
      for (const [i, [, parameter]] of parameters.entries()) parameter.tensor = own[i];
      this.#isInUse = false;
    }
  }

  /** Frees the memory. */
  dispose(): void {
    for (const tensor of this.#averages.values()) tensor.dispose();
    this.#averages.clear();
  }

  /** Calls {@linkcode MovingAverage.dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #valued(): [string, Parameter & { tensor: Tensor }][] {
    return [...distinct(this.model.stateDict())].filter(hasValues);
  }
}

function hasValues(
  entry: [string, Parameter],
): entry is [string, Parameter & { tensor: Tensor }] {
  return entry[1].tensor !== undefined;
}
