/**
 * Saving a classifier as a safetensors file.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import type { TensorToWrite } from "../weights/io/file_writer.ts";
import { writeSafetensors } from "../weights/safetensors/writer.ts";
import type { Classifier } from "./classifier.ts";
import { describe } from "./description.ts";
import { describeRanges } from "./input_ranges.ts";

/**
 * Options of {@linkcode saveModel}.
 *
 * @internal
 */
export interface SaveModelOptions {
  /** The type of the stored weights. Biases are always float32. Default "F32". */
  readonly dtype?: TensorToWrite["dtype"];
  /** Additional metadata for the file, such as the origin and licence of the weights. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Saves a network of {@linkcode createModel} as a safetensors file with its class names and
 * preprocessing. {@linkcode loadModel} reads it back. An {@linkcode AlexNet} must have the default
 * channels and hidden features, and an {@linkcode AlexNetTiny} no batch normalisation.
 *
 * @returns The bytes of the file.
 * @throws {PembrokeError} When the model is not such a network, has no values, or has weights in
 * fewer than 32 bits.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { AlexNetTiny, loadModel } from "./mod.ts";
 * import { saveModel } from "./save_model.ts";
 *
 * using backend = await createBackend();
 * const classes = [{ wnid: "", label: "ant" }, { wnid: "", label: "bee" }];
 * using model = new AlexNetTiny({ classes }).init(backend, { seed: 1 });
 * const file = await saveModel(model, { dtype: "F16" });
 * using same = await loadModel({ backend, weights: file });
 * console.log(same.classes[1].label); // bee
 * ```
 */
export async function saveModel(
  model: Classifier,
  { dtype = "F32", metadata = {} }: SaveModelOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { network: architecture, classes, preprocessing } = model;
  if (architecture === undefined) {
    throw new PembrokeError(`saveModel: cannot save ${model.type}, only networks of createModel()`);
  }
  const tensors: TensorToWrite[] = [];
  for (const [name, { shape, tensor }] of model.stateDict()) {
    if (!tensor) {
      throw new PembrokeError(
        `saveModel: ${name} has no float32 values; call init() or load weights in f32 first`,
      );
    }
    const stored = shape.length > 1 ? dtype : "F32";
    tensors.push({ name, dtype: stored, shape, data: await tensor.read() });
  }
  const description = {
    ...describe({ architecture, classes, preprocessing }),
    ...describeRanges(model),
  };
  return writeSafetensors(tensors, { ...description, ...metadata, ...description });
}
