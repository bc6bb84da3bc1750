/**
 * Computes weights from tensors of the file, such as those of a weight normalisation.
 *
 * @module
 */

import { elements } from "../../tensor.ts";
import type { OnnxFile } from "../../weights/onnx/reader.ts";
import { type OnnxTensor, tensorFromNumbers } from "../../weights/onnx/tensor.ts";
import { fold } from "./fold.ts";
import { maxFolded, maxLarge } from "./fold_elements.ts";
import type { NodeReader } from "./node.ts";
import { type Constant, isFloatTensor, type NumberArray, storedConstant } from "./values.ts";

/** How many numbers are computed for each byte of the file's tensors, and how many more. */
const numbersPerByte = 8, moreNumbers = 1 << 24;

/** Computes constants of any size. */
export class LargeFolder {
  #numbersLeft: number;

  constructor(readonly file: OnnxFile) {
    this.#numbersLeft = numbersPerByte * file.storedBytes + moreNumbers;
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
    const arrays: (NumberArray | undefined)[] = [];
    for (const [i, constant] of inputs.entries()) {
      arrays.push(constant && await this.#array(node, i, constant));
    }
    const outputs = fold(node, arrays as readonly NumberArray[]);
    this.#numbersLeft = node.numbersLeft;
    return outputs.map((array, i) =>
      storedConstant(computedTensor(node.node.outputs[i] ?? "", array))
    );
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
    if (Math.max(count, tensor.count) > maxLarge) {
      throw node.bad(`it computes more than ${maxLarge} numbers: fold it with onnxsim first`);
    }
    node.spend(count);
    const values = await this.file.readFloats(tensor, stored!);
    return { shape, numbers: [...values], isFloat: true, isDouble: tensor.dtype === "F64" };
  }
}

/** A tensor that is not in the file. */
export function computedTensor(name: string, { shape, numbers }: NumberArray): OnnxTensor {
  const tensor = tensorFromNumbers(name, "F32", shape, numbers);
  return { ...tensor, numbers: tensor.count > maxFolded ? undefined : numbers, isComputed: true };
}
