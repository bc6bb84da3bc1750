/**
 * Reads the attributes and inputs of an ONNX node.
 *
 * @module
 */

import { ArgumentError, FileError } from "../../errors.ts";
import type { OnnxNode } from "../../weights/onnx/graph.ts";
import { escapeText, formatShape } from "../../weights/io/quote.ts";
import { describeNodes, titleOf } from "./names.ts";
import {
  type Activation,
  type Constant,
  fixedNumbers,
  type GraphValue,
  maxFolded,
  type Moved,
  type NumberArray,
  sameNumbers,
  shapeOf,
  storedConstant,
  type Twice,
  type Value,
} from "./values.ts";

/** Attributes without effect on inference: of old versions, or for training. */
const ignoredAttributes = [
  ...["consumed_inputs", "is_test", "broadcast", "momentum", "seed", "stash_type", "saturate"],
];

/** What a node needs to know of its graph. */
export interface Scope {
  /** The name of the file, for errors. */
  readonly file: string;
  /** The version of the standard operations. */
  readonly opset: number;
  /** The two batch sizes that sizes are computed for. */
  readonly batches: Twice<number>;
  /** Whether the first one is that of the file, which names no other. */
  readonly isBatchFixed: boolean;
  /** Returns what a name stands for, or undefined if that is not supported. */
  value(name: string): GraphValue | undefined;
  /** Notes that the network works for the present size of images only. */
  bindSize(): void;
}

/** How a node sees tensors whose batch is not their first axis: with the batch in front, [N, …]. */
export interface Lift {
  /** The axis in the file that the batch is a part of; −1 for none. */
  readonly axis: number;
  /** The axes, in the file, that the node has named. */
  readonly named: number[];
}

/** An error of a node. */
export class NodeError extends FileError {
  /** @param why What is wrong. */
  constructor(file: string, readonly node: OnnxNode, readonly why: string, options?: ErrorOptions) {
    super(file, `${describeNodes(node.op, [titleOf(node)])}: ${why}`, options);
  }
}

/** Reads one node. It remembers which attributes were read, so that none is ignored by mistake. */
export class NodeReader {
  readonly op: string;
  readonly opset: number;
  /** How many numbers may still be read and computed. */
  numbersLeft = Number.MAX_SAFE_INTEGER;
  /** The most elements of a computed value. */
  maxElements = maxFolded;
  readonly #unread: Set<string>;

  /**
   * @param unread The attributes that were not read yet. Default: all.
   * @param lift Set if the inputs have the batch in front of their axes.
   */
  constructor(
    readonly node: OnnxNode,
    readonly scope: Scope,
    unread?: Set<string>,
    readonly lift?: Lift,
  ) {
    this.op = node.op;
    this.opset = scope.opset;
    this.#unread = unread ?? new Set(node.attributes.keys());
    for (const name of ignoredAttributes) this.#unread.delete(name);
  }

  /** The same node with other inputs. */
  withValues(
    change: (value: GraphValue | undefined) => GraphValue | undefined,
    lift = this.lift,
  ): NodeReader {
    const { scope } = this;
    const changed: Scope = {
      ...scope,
      value: (name) => change(scope.value(name)),
      bindSize: () => scope.bindSize(),
    };
    return new NodeReader(this.node, changed, this.#unread, lift);
  }

  /** The number of inputs, up to the last that has a name. */
  get inputCount(): number {
    return this.node.inputs.findLastIndex((name) => name !== "") + 1;
  }

  /** The number of outputs, up to the last that has a name. */
  get outputCount(): number {
    return this.node.outputs.findLastIndex((name) => name !== "") + 1;
  }

  /** Creates an error that names the node. */
  bad(reason: string, options?: ErrorOptions): NodeError {
    return new NodeError(this.scope.file, this.node, reason, options);
  }

  /** Converts an {@linkcode ArgumentError} of a layer to an error of the node. */
  attempt<T>(call: () => T): T {
    try {
      return call();
    } catch (cause) {
      if (cause instanceof ArgumentError) throw this.bad(cause.message, { cause });
      throw cause;
    }
  }

  /** Counts numbers before they are computed. */
  spend(count: number): void {
    this.numbersLeft -= count;
    if (!(this.numbersLeft >= 0)) throw this.bad("the graph computes too many numbers");
  }

  /** Whether the node has an attribute. */
  hasAttribute(name: string): boolean {
    return this.node.attributes.has(name);
  }

  /** Reads an attribute that is a number. */
  number(name: string, defaultValue: number): number {
    const value = this.#read(name) ?? defaultValue;
    if (typeof value === "number") return value;
    throw this.bad(`its attribute ${name} is not a number: damaged`);
  }

  /** Reads an attribute that is a list of numbers. */
  list(name: string): readonly number[] | undefined {
    const value = this.#read(name);
    if (value === undefined || Array.isArray(value)) return value;
    throw this.bad(`its attribute ${name} is not a list of numbers: damaged`);
  }

  /** Reads an attribute that is text. */
  text(name: string, defaultValue: string): string {
    const value = this.#read(name) ?? defaultValue;
    if (typeof value === "string") return value;
    throw this.bad(`its attribute ${name} is not text: damaged`);
  }

  /** Reads an attribute that is a tensor of a few numbers. */
  tensorAttribute(name: string): NumberArray | undefined {
    const value = this.#read(name);
    if (value === undefined) return undefined;
    const isTensor = typeof value === "object" && "dtype" in value;
    const { numbers } = isTensor ? storedConstant(value) : {};
    if (numbers) return numbers[0];
    throw this.bad(`its attribute ${name} is not a tensor of a few numbers: not supported`);
  }

  /** Reads an attribute with one number for each axis, such as height and width, or for each side. */
  perAxis(name: string, count: number, defaultValue: number): readonly number[] {
    const values = this.list(name) ?? Array<number>(count).fill(defaultValue);
    if (values.length === count) return values;
    throw this.bad(`its attribute ${name} must be a list of ${count}`);
  }

  /** Reads an axis of a tensor, and counts it from the first. */
  axis(name: string, rank: number, defaultValue: number): number {
    return this.resolveAxis(this.number(name, defaultValue), rank);
  }

  /**
   * Counts an axis from the first, and checks that the tensor has it.
   *
   * @param rank The number of axes that the node sees. The batch in front of them is none in the file.
   */
  resolveAxis(axis: number, rank: number): number {
    const { lift } = this;
    if (!lift) return this.resolveIndex(axis, rank);
    const own = this.resolveIndex(axis, rank - 1);
    if (own === lift.axis) throw this.bad(`its axis ${axis} is a part of the batch: not supported`);
    lift.named.push(own);
    return own + 1;
  }

  /** Counts an axis or a position from the first, and checks that it is one of a number of them. */
  resolveIndex(index: number, count: number): number {
    const resolved = index < 0 ? index + count : index;
    if (Number.isInteger(index) && resolved >= 0 && resolved < count) return resolved;
    throw this.bad(`it has no axis ${index} of ${count}: damaged`);
  }

  /** The axis that the batch is, or is a part of, as the node sees its inputs. */
  get batchAxis(): number {
    return (this.lift?.axis ?? -1) + 1;
  }

  /** Checks that an attribute has its only supported value. */
  expect(name: string, value: number | string): void {
    const actual = typeof value === "number" ? this.number(name, value) : this.text(name, value);
    if (actual === value) return;
    throw this.bad(`${name} ${escapeText(`${actual}`)} is not supported, only ${value}`);
  }

  /** Checks that every attribute was read. */
  checkUnread(): void {
    for (const name of this.#unread) {
      throw this.bad(`its attribute ${escapeText(name)} is not supported`);
    }
  }

  /** Returns whether the node has an input with this index. */
  has(index: number): boolean {
    return (this.node.inputs[index] ?? "") !== "";
  }

  /**
   * Returns the value of an input.
   *
   * @param what The role of the input in error messages, such as "weight".
   */
  value(index: number, what = "input"): Value {
    const name = this.node.inputs[index] ?? "", value = this.scope.value(name);
    if (value?.kind === "moved") {
      throw this.bad(
        `its ${what} ${formatShape(value.shape)} does not have the batch as its first axis: ` +
          "not supported",
      );
    }
    if (value) return value;
    throw this.bad(
      name === ""
        ? `it has no ${what}: damaged`
        : `its ${what} ${escapeText(name)} is not supported`,
    );
  }

  /** Returns the number of axes of an input. */
  rank(index: number): number {
    return shapeOf(this.value(index)).length;
  }

  /** Returns an input that a layer computes. Its first axis need not be the batch. */
  tensor(index: number): Activation | Moved {
    const value = this.scope.value(this.node.inputs[index] ?? "");
    return value?.kind === "moved" ? value : this.activation(index);
  }

  /** Returns an input that a layer computes. */
  activation(index: number, what = "input"): Activation {
    const value = this.value(index, what);
    if (value.kind === "activation") return value;
    const name = escapeText(this.node.inputs[index]);
    throw this.bad(`its ${what} ${name} is a constant: not supported`);
  }

  /** Returns an input that is a constant, such as a weight. */
  constant(index: number, what: string): Constant {
    const constant = this.computed(index, what);
    if (constant.row) throw this.bad(`its ${what} is repeated for each sample: not supported`);
    if (constant.isSized) this.scope.bindSize();
    return constant;
  }

  /** As {@linkcode constant}. The caller finds out whether it works for images of any size. */
  computed(index: number, what: string): Constant {
    const value = this.value(index, what);
    if (value.kind === "constant") return value;
    const name = escapeText(this.node.inputs[index]);
    throw this.bad(`its ${what} ${name} is not a constant in the file: not supported`);
  }

  /** Returns the elements of a small constant input, such as a shape. */
  numbers(index: number, what: string): readonly number[] {
    const constant = this.constant(index, what), numbers = fixedNumbers(constant);
    if (numbers) return numbers;
    const name = `its ${what} ${escapeText(this.node.inputs[index])}`;
    if (constant.numbers) throw this.bad(`${name} depends on the batch size: not supported`);
    const dtype = constant.stored?.tensor.dtype, shape = formatShape(shapeOf(constant));
    throw this.bad(`${name} is ${dtype} ${shape}: not supported`);
  }

  /** Returns the element of a constant input that holds one. */
  scalar(index: number, what: string): number {
    const [number, ...more] = this.numbers(index, what);
    if (number !== undefined && more.length === 0) return number;
    throw this.bad(`its ${what} has ${more.length + 1} numbers: not supported, only one`);
  }

  /** Returns the elements of an input that is a shape. Its first size may be the batch. */
  sizes(index: number, what: string): readonly number[] {
    const constant = this.constant(index, what), [first, second] = constant.numbers ?? [];
    const hasBatch = [first, second].every((array, i) =>
      array?.numbers[0] === this.scope.batches[i]
    );
    const isSame = first && second && sameNumbers(first.numbers.slice(1), second.numbers.slice(1));
    return hasBatch && isSame ? first.numbers : this.numbers(index, what);
  }

  /** Reads a list that was an attribute in old versions and is an input now. */
  listOrInput(name: string, index: number): readonly number[] | undefined {
    return this.list(name) ?? (this.has(index) ? this.numbers(index, name) : undefined);
  }

  #read(name: string) {
    this.#unread.delete(name);
    return this.node.attributes.get(name);
  }
}
