/**
 * Checks that a file of weights fits a model.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { sameShape } from "../tensor.ts";
import { escapeText, formatShape } from "./io/quote.ts";
import { isWeight, type WeightsFile, weightTypes } from "./tensor_file.ts";

/**
 * Checks that a file has exactly the tensors of a model, without reading their elements. Integer
 * tensors that the model does not have (`num_batches_tracked`) are ignored.
 *
 * @param file The weights.
 * @param expected The shapes of the model's parameters, by name.
 * @param modelName The name of the model in error messages.
 * @throws {FileError} When a tensor is missing, is unknown to the model, or has another shape or
 * type. The message names the first such tensor and counts the others.
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
 *   console.log(String(error)); // FileError: tiny.safetensors: bias is [3], Tiny expects [4]: …
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
  const notWeights = parametrization(file) ??
    `not weights for ${modelName}; export other networks as ONNX`;
  if (missing.length > 0 && missing.length === expected.size && file.entries.size > 0) {
    const [first] = file.entries.keys();
    throw new FileError(
      file.name,
      `its first tensor is ${escapeText(first)}, ${modelName} starts with ${
        missing[0]
      }: ${notWeights}`,
    );
  }
  if (missing.length > 0) {
    throw new FileError(file.name, `${missing[0]} is missing${andMore(missing)}: ${notWeights}`);
  }

  const wrong: string[] = [], last = [...expected.keys()].at(-1)?.replace(/[^.]+$/, "");
  let advice = "";
  for (const [name, shape] of expected) {
    const entry = file.entries.get(name)!, [outputs] = entry.shape;
    if (!sameShape(entry.shape, shape)) {
      wrong.push(
        `${name} is ${formatShape(entry.shape)}, ${modelName} expects ${formatShape(shape)}`,
      );
      const isLast = name.startsWith(`${last}`) && entry.shape.length === shape.length &&
        sameShape(entry.shape.slice(1), shape.slice(1));
      advice ||= `: ${isLast ? `its last layer has ${outputs} outputs` : notWeights}`;
    } else if (!isWeight(entry)) {
      wrong.push(`${name} is ${entry.dtype}, ${modelName} expects ${weightTypes}`);
    }
  }
  if (wrong.length > 0) throw new FileError(file.name, `${wrong[0]}${andMore(wrong)}${advice}`);
  if (unexpected.length > 0) {
    const name = escapeText(unexpected[0].name);
    throw new FileError(
      file.name,
      `${name} is not a parameter of ${modelName}${andMore(unexpected)}: ${notWeights}`,
    );
  }
}

/**
 * Says what to do about weights that PyTorch computes from others: with normalisation or pruning.
 * Undefined if the file has none.
 */
export function parametrization({ entries }: WeightsFile): string | undefined {
  const name = [...entries.keys()].find((name) =>
    /\.(weight_(orig|g)|parametrizations\..+)$/.test(name)
  );
  return name && `${escapeText(name)} is not the weight itself: before you save it in PyTorch, ` +
      "remove pruning, weight_norm and spectral_norm, or export the network as ONNX";
}

function andMore(list: readonly unknown[]): string {
  return list.length > 1 ? ` (and ${list.length - 1} more)` : "";
}
