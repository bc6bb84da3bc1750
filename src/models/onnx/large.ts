/**
 * Computes weights from tensors of the file, such as those of a weight normalisation, and counts the
 * numbers of all that is computed.
 *
 * @module
 */

import { elements } from "../../tensor.ts";
import type { OnnxFile } from "../../weights/onnx/reader.ts";
import { type OnnxTensor, tensorFromNumbers } from "../../weights/onnx/tensor.ts";
import { fold } from "./fold.ts";
import type { NodeReader } from "./node.ts";
import {
  type Constant,
  type GraphValue,
  isFloatTensor,
  mapNumbers,
  maxFolded,
  type NumberArray,
  numberCount,
  storedConstant,
} from "./values.ts";

/** How many numbers are read and computed for each byte of the file, and how many more. */
const numbersPerByte = 12, moreNumbers = 1 << 22;

/** The most elements of a computed value, and how many it may have besides one for each byte. */
const maxLarge = 1 << 24, moreElements = 1 << 20;

/** Computes constants of any size. */
export class LargeFolder {
  #numbersLeft: number;
  readonly #maxNumbers: number;

  constructor(readonly file: OnnxFile) {
    this.#maxNumbers = Math.min(maxLarge, file.fileBytes + moreElements);
    this.#numbersLeft = numbersPerByte * file.fileBytes + moreNumbers;
  }

  /**
   * Computes the outputs of a node.
   *
   * @throws {FileError} When the file cannot be read, or there are too many numbers.
   */
  async fold(
    node: NodeReader,
    inputs: readonly (Constant | undefined)[],
  ): Promise<readonly Constant[]> {
    node.numbersLeft = this.#numbersLeft;
    node.maxElements = this.#maxNumbers;
    try {
      const arrays: (NumberArray | undefined)[] = [];
      for (const [i, constant] of inputs.entries()) {
        arrays.push(constant && await this.#array(node, i, constant));
      }
      return fold(node, arrays as readonly NumberArray[]).map((array, i) =>
        storedConstant(computedTensor(node.node.outputs[i] ?? "", array))
      );
    } finally { // the import goes on after a node that fails
      this.#numbersLeft = node.numbersLeft;
    }
  }

  /** The elements of an input. */
  async #array(node: NodeReader, index: number, constant: Constant): Promise<NumberArray> {
    const { numbers: [array] = [], stored } = constant;
    if (array) {
      node.numbers(index, "input"); // checks that they do not depend on the batch
      return array;
    }
    const { tensor, shape } = stored!;
    if (!isFloatTensor(tensor)) {
      throw node.bad("it computes a large constant from integers: fold it with onnxsim first");
    }
    const count = elements(shape); // Expand and Tile repeat elements
    if (Math.max(count, tensor.count) > this.#maxNumbers) {
      throw node.bad(
        `it computes more than ${this.#maxNumbers} numbers: fold it with onnxsim first`,
      );
    }
    node.spend(count);
    const values = await this.file.readFloats(tensor, stored!);
    return {
      shape,
      numbers: mapNumbers(values, (value) => value),
      isFloat: true,
      isDouble: tensor.dtype === "F64",
    };
  }
}

/** The most numbers that nodes read and compute: for each byte of the file, and besides. */
const shapePerByte = 4, moreOfShapes = 1 << 21, maxOfShapes = 1 << 27;

/** The most numbers that are in memory at a time: 8 MiB. In large files, up to 64 MiB. */
const maxKept = 1 << 20, maxKeptOfLarge = 1 << 23;

/** Counts the numbers of shapes, indices and masks. */
export class NumberBudget {
  #left: number;
  readonly #maxKept: number;
  #keptNumbers = 0;
  /** How many numbers each name keeps in memory. */
  readonly #kept = new Map<string, number>();

  constructor(fileBytes: number) {
    this.#left = Math.min(maxOfShapes, shapePerByte * fileBytes + moreOfShapes);
    this.#maxKept = Math.max(maxKept, Math.min(maxKeptOfLarge, fileBytes));
  }

  /**
   * Counts numbers that a node reads, before it does.
   *
   * @throws {NodeError} When they are too many.
   */
  spend(node: NodeReader, count: number): void {
    this.#left -= count;
    if (count > 0 && this.#left < 0) throw node.bad("the graph computes too many numbers");
  }

  /** Computes numbers, which the node counts. */
  compute<T>(node: NodeReader, compute: () => T): T {
    node.numbersLeft = this.#left;
    try {
      return compute();
    } finally { // the import goes on after a node that fails
      this.#left = node.numbersLeft;
    }
  }

  /**
   * Counts what a name keeps in memory, until it is freed.
   *
   * @throws {NodeError} When all names keep too much.
   */
  keep(node: NodeReader, name: string, value: GraphValue): void {
    this.free(name);
    const count = numberCount(value);
    if (this.#keptNumbers + count > this.#maxKept) {
      throw node.bad("the graph keeps too many numbers");
    }
    this.#keptNumbers += count;
    this.#kept.set(name, count);
  }

  free(name: string): void {
    this.#keptNumbers -= this.#kept.get(name) ?? 0;
    this.#kept.delete(name);
  }
}

/** A tensor that is not in the file. */
export function computedTensor(name: string, { shape, numbers }: NumberArray): OnnxTensor {
  const tensor = tensorFromNumbers(name, "F32", shape, numbers);
  return { ...tensor, numbers: tensor.count > maxFolded ? undefined : numbers, isComputed: true };
}
