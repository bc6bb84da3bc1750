/**
 * The description of a network in the metadata of its safetensors file.
 *
 * All values are text: `format` is "pembroke model 1", `architecture` the name of the network,
 * `classes` a JSON list of [WordNet id, label] pairs, and `preprocessing` a
 * {@linkcode Preprocessing} as JSON. Other keys are ignored.
 *
 * `temperature` is a number: see {@linkcode Classifier.temperature}.
 *
 * `head` is "linear" where a fully connected layer has replaced the last convolution, as in
 * SqueezeNet. A file with the last layer only has the format "pembroke head 1", and `base_sha256`
 * identifies the weights of the other layers; see fingerprint.ts.
 *
 * @module
 */

import type { ClassName } from "./imagenet_classes.ts";
import { FileError } from "../errors.ts";
import { type Preprocessing, preprocessingChoices } from "../image/preprocess.ts";
import { interpolations } from "../image/resize.ts";
import { escapeText } from "../weights/io/quote.ts";
import { checksumKey } from "../weights/stored.ts";
import type { WeightsFile } from "../weights/tensor_file.ts";

/** The description of a network in a file. */
export interface Description {
  /** The name of the network. {@linkcode readDescription} does not check that it exists. */
  readonly architecture: string;
  readonly classes: readonly ClassName[];
  readonly preprocessing: Preprocessing;
  /** What logits are divided by before the softmax. Default: 1. */
  readonly temperature?: number;
  /** "linear" if a fully connected layer has replaced the last convolution. */
  readonly head?: "linear";
  /** The fingerprint of the other layers' weights, if the file has the last layer only. */
  readonly base?: string;
}

const modelFormat = "pembroke model 1", headFormat = "pembroke head 1";

/** The architecture of the base of a last layer that was trained for an ONNX model. */
export const onnxArchitecture = "onnx";

/** The options of preprocessing that are names. */
const choiceNames = ["channels", "layout", "rounding"] as const;

/** The largest side of preprocessed images. Hostile files could exhaust the memory with more. */
const maxSide = 4096;

/** Converts a description to metadata. */
export function describe(
  { architecture, classes, preprocessing, temperature = 1, head, base }: Description,
): Record<string, string> {
  return {
    format: base === undefined ? modelFormat : headFormat,
    architecture,
    classes: JSON.stringify(classes.map(({ wnid, label }) => [wnid, label])),
    preprocessing: JSON.stringify(preprocessing),
    ...(temperature !== 1 && { temperature: String(temperature) }),
    ...(head && { head }),
    ...(base !== undefined && { base_sha256: base }),
  };
}

/** The keys of {@linkcode describe}, of the ranges that belong to the weights, and of the checksum. */
const describedKeys: ReadonlySet<string> = new Set([
  "format",
  "architecture",
  "classes",
  "preprocessing",
  "temperature",
  "head",
  "base_sha256",
  "input_ranges",
  checksumKey,
]);

/**
 * Joins a description with other metadata. The keys of a description that these have are left out,
 * whether this one has them or not: the temperature of a file does not fit other classes. Its checksum
 * does not fit another file.
 */
export function withDescription(
  metadata: Iterable<readonly [key: string, value: string]>,
  description: Readonly<Record<string, string>>,
): Record<string, string> {
  const others = Array.from(metadata).filter(([key]) => !describedKeys.has(key));
  return { ...description, ...Object.fromEntries(others) };
}

/**
 * Reads the description in a file. Returns undefined if there is none.
 *
 * @throws {FileError} When the description is damaged, or of an unsupported version.
 */
export function readDescription({ name, metadata }: WeightsFile): Description | undefined {
  const format = metadata.get("format");
  if (!format?.startsWith("pembroke ")) return undefined;
  if (format.startsWith("pembroke checkpoint ")) {
    throw new FileError(
      name,
      "is a training checkpoint, not a model; `deno task export` converts those of weights/recipe",
    );
  }
  if (format !== modelFormat && format !== headFormat) {
    throw new FileError(
      name,
      `has format ${escapeText(format)}, but this version reads ${modelFormat}`,
    );
  }
  const architecture = metadata.get("architecture");
  if (architecture === undefined) {
    throw new FileError(name, "its metadata has no architecture: damaged");
  }
  const parse = (key: string): unknown => {
    try {
      return JSON.parse(metadata.get(key) ?? "");
    } catch (cause) {
      throw new FileError(name, `its metadata key ${key} is not valid JSON: damaged`, { cause });
    }
  };
  const classes = parse("classes"), preprocessing = parse("preprocessing");
  if (!isClassList(classes)) {
    throw new FileError(name, "its classes are not a list of [id, label] pairs: damaged");
  }
  if (!isPreprocessing(preprocessing)) {
    throw new FileError(name, "its preprocessing has missing or invalid values: damaged");
  }
  const base = format === headFormat ? metadata.get("base_sha256") ?? "" : undefined;
  if (base !== undefined && !/^[\da-f]{64}$/.test(base)) {
    throw new FileError(name, "its metadata has no SHA-256 of the other layers: damaged");
  }
  const temperature = Number(metadata.get("temperature") ?? 1);
  if (!(temperature > 0 && temperature < Infinity)) {
    throw new FileError(name, "its temperature is not a positive number: damaged");
  }
  const { resize, interpolation = "bilinear", crop, mean, std, ...optional } = preprocessing;
  const names = ["cropWidth", ...choiceNames] as const;
  const chosen = names.flatMap((name) => optional[name] ? [[name, optional[name]]] : []);
  return {
    architecture,
    classes: classes.map(([wnid, label]) => ({ wnid, label })),
    preprocessing: { resize, interpolation, crop, mean, std, ...Object.fromEntries(chosen) },
    ...(temperature !== 1 && { temperature }),
    ...(metadata.get("head") === "linear" && { head: "linear" }),
    ...(base !== undefined && { base }),
  };
}

function isClassList(value: unknown): value is [wnid: string, label: string][] {
  return Array.isArray(value) && value.length > 0 &&
    value.every((pair) =>
      Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === "string")
    );
}

/** Whether a value from outside is a complete and valid preprocessing. */
export function isPreprocessing(value: unknown): value is Preprocessing {
  return invalidField(value) === undefined;
}

/** The first field of a preprocessing from outside that is missing or invalid. */
export function invalidField(value: unknown): keyof Preprocessing | undefined {
  const fields = (value ?? {}) as Record<string, unknown>;
  const { resize, interpolation, crop, cropWidth = crop, mean, std } = fields;
  const isSide = (side: unknown) =>
    Number.isInteger(side) && Number(side) >= 1 && Number(side) <= maxSide;
  const isColor = (list: unknown): list is number[] =>
    Array.isArray(list) && list.length === 3 && list.every(Number.isFinite);
  if (!isSide(resize)) return "resize";
  if (!isSide(crop)) return "crop";
  if (!isSide(cropWidth)) return "cropWidth";
  if (!isColor(mean)) return "mean";
  if (!isColor(std) || !std.every((deviation) => deviation > 0)) return "std";
  if (interpolation !== undefined && !interpolations.some((f) => f === interpolation)) {
    return "interpolation";
  }
  return choiceNames.find((name) =>
    ![undefined, ...preprocessingChoices[name]].some((known) => known === fields[name])
  );
}
