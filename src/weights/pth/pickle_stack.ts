/**
 * The stack of a pickle's interpreter, and its memo.
 *
 * @module
 */

import type { FileError } from "../../errors.ts";
import type { DescriptionBudget } from "../io/description_budget.ts";
import { damagedPickle } from "./pickle_bytes.ts";
import { cost, Opaque, type Value } from "./pickle_values.ts";

/** A stack of values with marks, and a memo of numbered values. */
export class PickleStack {
  readonly #values: Value[] = [];
  readonly #marks: number[] = [];
  /** The memo entries 0, 1, 2, …: Python numbers them in this order. */
  readonly #memo: Value[] = [];
  /** Memo entries with other numbers. */
  readonly #sparseMemo = new Map<number, Value>();
  readonly #budget: DescriptionBudget;
  readonly #file: string;

  constructor(budget: DescriptionBudget, file: string) {
    this.#budget = budget;
    this.#file = file;
  }

  /** Puts values on top. */
  push(...values: Value[]): void {
    this.#values.push(...values);
  }

  /** Marks the top. */
  mark(): void {
    this.#marks.push(this.#values.length);
  }

  /** Removes the value on top, or a mark there: in Python a mark is an item of the stack, too. */
  popItem(): void {
    if (this.#marks.at(-1) === this.#values.length) this.#marks.pop();
    else this.pop();
  }

  /** The number of the next memo entry. */
  get memoSize(): number {
    return this.#memo.length + this.#sparseMemo.size;
  }

  /** Removes the value on top. */
  pop(): Value {
    if (this.#values.length <= (this.#marks.at(-1) ?? 0)) throw this.#underflow();
    return this.#values.pop()!;
  }

  /** Removes the values above the last mark, and the mark. */
  sinceMark(): Value[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#underflow();
    return this.#values.splice(mark);
  }

  /**
   * The value on top of the stack, which must be of this type, or opaque.
   *
   * @param name Python's name of the type. That of the class differs in bundles.
   */
  top<T extends object>(type: new () => T, name: string): T | Opaque {
    const top = this.#values.length > (this.#marks.at(-1) ?? 0) ? this.#values.at(-1) : undefined;
    if (top instanceof type || top instanceof Opaque) return top;
    throw damagedPickle(this.#file, `adds an item to something that is not a ${name}`);
  }

  /** Copies the value on top to a memo entry. */
  remember(index: number): void {
    const value = this.pop();
    this.push(value);
    if (index < this.#memo.length) this.#memo[index] = value;
    else if (index === this.#memo.length) this.#memo.push(value);
    else {
      this.#budget.spend(cost.entry);
      this.#sparseMemo.set(index, value);
    }
  }

  /** Pushes a memo entry. */
  recall(index: number): void {
    const value = index < this.#memo.length ? this.#memo[index] : this.#sparseMemo.get(index);
    if (value === undefined) {
      throw damagedPickle(this.#file, `reads memo entry ${index}, which was never set`);
    }
    this.#values.push(value);
  }

  #underflow(): FileError {
    return damagedPickle(this.#file, "pops from an empty stack");
  }
}
