/**
 * The memo of a pickle: values that later instructions refer to by number.
 *
 * @module
 */

import type { MemoryBudget } from "../io/memory_budget.ts";
import { cost } from "./pickle_input.ts";
import type { Value } from "./pickle_values.ts";

/** Values by number. Python numbers them in order, which takes the least memory. */
export class Memo {
  readonly #inOrder: Value[] = [];
  readonly #others = new Map<number, Value>();

  constructor(readonly budget: MemoryBudget) {}

  get size(): number {
    return this.#inOrder.length + this.#others.size;
  }

  set(index: number, value: Value): void {
    if (index < this.#inOrder.length) this.#inOrder[index] = value;
    else if (index === this.#inOrder.length) this.#inOrder.push(value);
    else {
      this.budget.spend(cost.entry);
      this.#others.set(index, value);
    }
  }

  /** The value of a number; undefined if it was never set. */
  get(index: number): Value | undefined {
    return index < this.#inOrder.length ? this.#inOrder[index] : this.#others.get(index);
  }
}
