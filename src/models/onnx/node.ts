/**
 * Reads the attributes and constant inputs of an ONNX node.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { OnnxNode } from "../../weights/onnx/graph.ts";
import type { OnnxTensor } from "../../weights/onnx/tensor.ts";
import { escapeText, formatShape } from "../../weights/io/quote.ts";

/** Attributes without effect on inference: of old versions, or for training. */
const ignoredAttributes = ["consumed_inputs", "is_test", "broadcast", "momentum", "seed"];

/** Reads one node. It remembers which attributes were read, so that none is ignored by mistake. */
export class NodeReader {
  readonly op: string;
  readonly #node: OnnxNode;
  readonly #unread: Set<string>;

  constructor(
    node: OnnxNode,
    readonly tensors: ReadonlyMap<string, OnnxTensor>,
    readonly file: string,
  ) {
    this.op = node.op;
    this.#node = node;
    this.#unread = new Set(node.attributes.keys());
    for (const name of ignoredAttributes) this.#unread.delete(name);
  }

  /** The name of the node, or of its output. */
  get name(): string {
    return this.#node.name || this.#node.outputs[0] || "";
  }

  /** The number of outputs, up to the last that has a name. */
  get outputCount(): number {
    return this.#node.outputs.findLastIndex((name) => name !== "") + 1;
  }

  /** Creates an error that names the node. */
  bad(reason: string, options?: ErrorOptions): FileError {
    const name = `${escapeText(this.name)} (${escapeText(this.op)})`;
    return new FileError(this.file, `node ${name}: ${reason}`, options);
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

  /** Reads an attribute with a number each for height and width. */
  pair(name: string, defaultValue: number): readonly [height: number, width: number] {
    const [height, width, ...more] = this.list(name) ?? [defaultValue, defaultValue];
    if (width !== undefined && more.length === 0) return [height, width];
    throw this.bad(`its attribute ${name} must have 2 numbers, for height and width`);
  }

  /** Reads the padding. Padding that depends on the input's size is not supported. */
  pads(): readonly [top: number, left: number, bottom: number, right: number] {
    const auto = this.#read("auto_pad") ?? "NOTSET";
    if (auto !== "NOTSET" && auto !== "VALID") {
      throw this.bad(`auto_pad ${escapeText(String(auto))} is not supported, only explicit pads`);
    }
    const [top, left, bottom, right, ...more] = this.list("pads") ?? [0, 0, 0, 0];
    if (right !== undefined && more.length === 0) return [top, left, bottom, right];
    throw this.bad("its attribute pads must have 4 numbers, for top, left, bottom and right");
  }

  /** Checks that an attribute has its only supported value. */
  expect(name: string, value: number): void {
    const actual = this.number(name, value);
    if (actual !== value) throw this.bad(`${name} ${actual} is not supported, only ${value}`);
  }

  /** Checks that every attribute was read. */
  checkUnread(): void {
    for (const name of this.#unread) {
      throw this.bad(`its attribute ${escapeText(name)} is not supported`);
    }
  }

  /** Returns whether the node has an input with this index. */
  has(index: number): boolean {
    return (this.#node.inputs[index] ?? "") !== "";
  }

  /**
   * Returns an input that is a tensor in the file.
   *
   * @param what The role of the input in error messages, such as "weight".
   */
  tensor(index: number, what: string): { readonly name: string; readonly tensor: OnnxTensor } {
    const name = this.#node.inputs[index] ?? "", tensor = this.tensors.get(name);
    if (tensor) return { name, tensor };
    throw this.bad(
      name === ""
        ? `it has no ${what}: damaged`
        : `its ${what} ${escapeText(name)} is not a constant in the file: not supported`,
    );
  }

  /** Returns the values of a small constant input, such as a shape. */
  constant(index: number, what: string): readonly number[] {
    const { name, tensor } = this.tensor(index, what);
    if (tensor.numbers) return tensor.numbers;
    const { dtype, shape } = tensor;
    throw this.bad(
      `its ${what} ${escapeText(name)} is ${dtype} ${formatShape(shape)}: not supported`,
    );
  }

  #read(name: string) {
    this.#unread.delete(name);
    return this.#node.attributes.get(name);
  }
}
