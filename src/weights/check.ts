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
 * @param isOwn Whether the model is a network of the caller's own, not one of the known networks. The
 * message then names the first three missing tensors, and the first three that are left over.
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
  isOwn = false,
): void {
  const parametrized = parametrization(file);
  const advice = parametrized ??
    (isOwn
      ? `make the layers of ${modelName} with the sizes in the file`
      : `not weights for ${modelName}; export other networks as ONNX`);
  const reason = (isOwn && !parametrized ? namesReason(file, expected, modelName) : undefined) ??
    missingReason(file, expected, modelName, advice) ??
    wrongReason(file, expected, modelName, advice) ??
    unknownReason(file, expected, modelName, advice);
  if (reason !== undefined) throw new FileError(file.name, reason);
}

/** Says which tensors of the model the file lacks; undefined if it has all of them. */
function missingReason(
  { entries }: WeightsFile,
  expected: ReadonlyMap<string, readonly number[]>,
  modelName: string,
  advice: string,
): string | undefined {
  const missing = [...expected.keys()].filter((name) => !entries.has(name));
  if (missing.length === 0) return undefined;
  if (missing.length < expected.size || entries.size === 0) {
    return `${missing[0]} is missing${andMore(missing)}: ${advice}`;
  }
  const first = escapeText([...entries.keys()][0]);
  return `its first tensor is ${first}, ${modelName} starts with ${missing[0]}: ${advice}`;
}

/** Says which tensors have another shape or type than the model's; undefined if none has. */
function wrongReason(
  { entries }: WeightsFile,
  expected: ReadonlyMap<string, readonly number[]>,
  modelName: string,
  advice: string,
): string | undefined {
  const wrong: string[] = [], last = [...expected.keys()].at(-1) ?? "";
  const lastLayer = last.slice(0, last.lastIndexOf(".") + 1);
  let hint = "";
  for (const [name, shape] of expected) {
    const entry = entries.get(name)!, [outputs] = entry.shape;
    if (!sameShape(entry.shape, shape)) {
      wrong.push(
        `${name} is ${formatShape(entry.shape)}, ${modelName} expects ${formatShape(shape)}`,
      );
      const hasOtherOutputs = name.startsWith(lastLayer) &&
        entry.shape.length === shape.length && sameShape(entry.shape.slice(1), shape.slice(1));
      hint ||= `: ${hasOtherOutputs ? `its last layer has ${outputs} outputs` : advice}`;
    } else if (!isWeight(entry)) {
      wrong.push(`${name} is ${entry.dtype}, ${modelName} expects ${weightTypes}`);
    }
  }
  return wrong.length > 0 ? `${wrong[0]}${andMore(wrong)}${hint}` : undefined;
}

/** Says which weights of the file the model does not have; undefined if it has all of them. */
function unknownReason(
  { entries }: WeightsFile,
  expected: ReadonlyMap<string, readonly number[]>,
  modelName: string,
  advice: string,
): string | undefined {
  const unknown = unknownNames(entries, expected);
  if (unknown.length === 0) return undefined;
  return `${escapeText(unknown[0])} is not a parameter of ${modelName}${
    andMore(unknown)
  }: ${advice}`;
}

/** The names of weights that the model does not have. */
function unknownNames(
  entries: WeightsFile["entries"],
  expected: ReadonlyMap<string, readonly number[]>,
): string[] {
  return [...entries.values()].filter((entry) => isWeight(entry) && !expected.has(entry.name))
    .map(({ name }) => name);
}

/** Says which names are missing and which are left over; undefined if the file has those of the model. */
function namesReason(
  { entries }: WeightsFile,
  expected: ReadonlyMap<string, readonly number[]>,
  modelName: string,
): string | undefined {
  const missing = [...expected.keys()].filter((name) => !entries.has(name));
  const unknown = unknownNames(entries, expected);
  const lists = [["missing", missing], ["left over", unknown]] as const;
  const parts = lists.filter(([, names]) => names.length > 0).map(([what, names]) =>
    `${what} ${names.slice(0, 3).map(escapeText).join(", ")}${andMore(names, 3)}`
  );
  if (parts.length === 0) return undefined;
  return `${parts.join("; ")}: the names must be those of stateDict() of ${modelName}`;
}

/**
 * Says what to do about weights that PyTorch computes from other tensors, for normalisation or
 * pruning; undefined if the file has none.
 */
export function parametrization({ entries }: WeightsFile): string | undefined {
  const name = [...entries.keys()].find((name) =>
    /(^|\.)((weight(_orig|_[vg])?|bias)_(orig|g)$|parametrizations\.[^])/.test(name)
  );
  return name && `${escapeText(name)} is not the weight itself: before you save it in PyTorch, ` +
      "remove its parametrizations and pruning, or export the network as ONNX";
}

/** " (and 2 more)" for a list of three of which one is named. */
function andMore(list: readonly unknown[], named = 1): string {
  return list.length > named ? ` (and ${list.length - named} more)` : "";
}
