/**
 * Comparing a file with the model that is to take its weights.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { shown, shownShape } from "./io/quote.ts";
import { isWeight, weightKinds, type WeightsFile } from "./tensor_file.ts";

/**
 * Checks that a file holds exactly the tensors of a model, without reading any. Integer tensors that
 * the model does not know (`num_batches_tracked`) are passed over.
 *
 * @param file The weights.
 * @param expected The model's parameters: their names and shapes.
 * @param modelName What to call the model.
 * @throws {FileError} Names the first tensor that is missing, of another shape or kind, or too many,
 * and says how many more there are.
 *
 * @example
 * ```ts
 * import { bytesSource, checkWeights, openWeights, writeSafetensors } from "./mod.ts";
 *
 * const bytes = writeSafetensors([
 *   { name: "bias", dtype: "F32", shape: [3], data: new Float32Array(3) },
 * ]);
 * using file = await openWeights(bytesSource(bytes, "tiny.safetensors"));
 * checkWeights(file, new Map([["bias", [3]]]), "Tiny"); // fine
 * try {
 *   checkWeights(file, new Map([["bias", [4]]]), "Tiny");
 * } catch (error) {
 *   console.log(String(error)); // FileError: tiny.safetensors: bias is [3], Tiny takes [4]
 * }
 * ```
 */
export function checkWeights(
  file: WeightsFile,
  expected: ReadonlyMap<string, readonly number[]>,
  modelName: string,
): void {
  const missing = [...expected.keys()].filter((name) => !file.entries.has(name));
  const unexpected = [...file.entries.values()].filter((entry) =>
    isWeight(entry) && !expected.has(entry.name)
  );
  const no = `not weights for ${modelName}`;
  if (missing.length > 0 && missing.length === expected.size && file.entries.size > 0) {
    const [first] = file.entries.keys();
    throw new FileError(
      file.name,
      `begins with ${shown(first)}, ${modelName} with ${missing[0]}: ${no}`,
    );
  }
  if (missing.length > 0) {
    throw new FileError(file.name, `${missing[0]} is missing${more(missing)}: ${no}`);
  }

  const wrong: string[] = [];
  for (const [name, shape] of expected) {
    const entry = file.entries.get(name)!;
    if (entry.shape.length !== shape.length || shape.some((size, i) => size !== entry.shape[i])) {
      wrong.push(`${name} is ${shownShape(entry.shape)}, ${modelName} takes ${shownShape(shape)}`);
    } else if (!isWeight(entry)) {
      wrong.push(`${name} is ${entry.dtype}, ${modelName} takes ${weightKinds}`);
    }
  }
  if (wrong.length > 0) throw new FileError(file.name, `${wrong[0]}${more(wrong)}`);
  if (unexpected.length > 0) {
    const name = shown(unexpected[0].name);
    throw new FileError(file.name, `${name} is no part of ${modelName}${more(unexpected)}: ${no}`);
  }
}

function more(list: readonly unknown[]): string {
  return list.length > 1 ? ` (and ${list.length - 1} more)` : "";
}
