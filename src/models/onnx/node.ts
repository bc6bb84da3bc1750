/**
 * An operation of an ONNX network as a layer is made from it: its attributes and tensors, each asked
 * for by name, so that none is passed over.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { OnnxNode } from "../../weights/onnx/graph.ts";
import type { OnnxTensor } from "../../weights/onnx/tensor.ts";
import { escapeText, formatShape } from "../../weights/io/quote.ts";

/** Attributes of old versions that say nothing, or what only training needs. */
const idle = ["consumed_inputs", "is_test", "broadcast", "momentum", "seed"];

/** Reads one node; every complaint names it. */
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
    for (const name of idle) this.#unread.delete(name);
  }

  /** What people know it by: its name, or that of what it gives. */
  get name(): string {
    return this.#node.name || this.#node.outputs[0] || "";
  }

  /** A complaint about it. */
  bad(reason: string, options?: ErrorOptions): FileError {
    const name = `${escapeText(this.name)} (${escapeText(this.op)})`;
    return new FileError(this.file, `node ${name}: ${reason}`, options);
  }

  /** A number, or what it is when it is left out. */
  number(name: string, otherwise: number): number {
    const value = this.#read(name) ?? otherwise;
    if (typeof value === "number") return value;
    throw this.bad(`its ${name} is no number: damaged`);
  }

  /** A list of numbers, if it is there. */
  list(name: string): readonly number[] | undefined {
    const value = this.#read(name);
    if (value === undefined || Array.isArray(value)) return value;
    throw this.bad(`its ${name} is no list of numbers: damaged`);
  }

  /** A number for each of height and width, or this one for both. */
  pair(name: string, otherwise: number): readonly [height: number, width: number] {
    const [height, width, ...more] = this.list(name) ?? [otherwise, otherwise];
    if (width !== undefined && more.length === 0) return [height, width];
    throw this.bad(`its ${name} are not for height and width: not supported`);
  }

  /** Padding; what is to be worked out from the input's size is refused. */
  pads(): readonly [top: number, left: number, bottom: number, right: number] {
    const auto = this.#read("auto_pad") ?? "NOTSET";
    if (auto !== "NOTSET" && auto !== "VALID") {
      throw this.bad(`auto_pad ${escapeText(String(auto))} is not supported, only explicit pads`);
    }
    const [top, left, bottom, right, ...more] = this.list("pads") ?? [0, 0, 0, 0];
    if (right !== undefined && more.length === 0) return [top, left, bottom, right];
    throw this.bad("its pads are not for height and width: not supported");
  }

  /** Refuses any value of an attribute but this. */
  only(name: string, value: number): void {
    const got = this.number(name, value);
    if (got !== value) throw this.bad(`${name} ${got} is not supported, only ${value}`);
  }

  /** Refuses attributes that nobody has read. */
  done(): void {
    for (const name of this.#unread) {
      throw this.bad(`its attribute ${escapeText(name)} is not supported`);
    }
  }

  /** Whether an input is there. */
  has(index: number): boolean {
    return (this.#node.inputs[index] ?? "") !== "";
  }

  /** An input that is a tensor of the file, for a layer's parameter called so. */
  tensor(index: number, what: string): { readonly name: string; readonly tensor: OnnxTensor } {
    const name = this.#node.inputs[index] ?? "", tensor = this.tensors.get(name);
    if (tensor) return { name, tensor };
    throw this.bad(
      name === ""
        ? `it has no ${what}: damaged`
        : `its ${what} ${escapeText(name)} is computed or given, not in the file: not supported`,
    );
  }

  /** The numbers of an input that describes something. */
  described(index: number, what: string): readonly number[] {
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
