/** Makes an int8 weights file for AlexNet with random weights, like `convert` does. */

import { AlexNet, RandomGenerator, type TensorToWrite, writeSafetensors } from "../../mod.ts";
import { parameterShapes } from "../../src/layers/parameter.ts";
import { elements } from "../../src/tensor.ts";

/** Returns a file of 61 MB. */
export function randomAlexNetFile(): Uint8Array<ArrayBuffer> {
  const generator = new RandomGenerator(1);
  const tensors = [...parameterShapes(new AlexNet())].map(([name, shape]): TensorToWrite => {
    const data = new Float32Array(elements(shape)); // biases stay 0
    const bound = Math.sqrt(6 * shape[0] / data.length);
    if (shape.length > 1) generator.uniform(data, -bound, bound);
    return { name, shape, dtype: shape.length > 1 ? "I8" : "F32", data };
  });
  return writeSafetensors(tensors);
}
