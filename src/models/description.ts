/**
 * What a file of weights says about its network, so that nobody has to be told.
 *
 * In the metadata of safetensors, whose values are texts: `format` is "pembroke model 1",
 * `architecture` the network's name, `classes` a JSON list of pairs of WordNet id and label,
 * `preprocessing` JSON of {@linkcode Preprocessing}. What else is there is for people.
 *
 * @module
 */

import type { ClassName } from "./imagenet_classes.ts";
import { FileError } from "../errors.ts";
import { channelOrders, type Preprocessing } from "../image/preprocess.ts";
import { interpolations } from "../image/resize.ts";
import { escapeText } from "../weights/io/quote.ts";
import type { WeightsFile } from "../weights/tensor_file.ts";

/** The name of a network. */
export type Architecture = "alexnet" | "alexnet-tiny";

/** The networks that a file may describe. */
export const architectures: readonly Architecture[] = ["alexnet", "alexnet-tiny"];

/** What a file says about its network. */
export interface Description {
  readonly architecture: Architecture;
  readonly classes: readonly ClassName[];
  readonly preprocessing: Preprocessing;
}

const FORMAT = "pembroke model 1";

/** Sides of images beyond this are no preprocessing but an attempt on the memory. */
const largestSide = 4096;

/** A description as metadata. */
export function describe(
  { architecture, classes, preprocessing }: Description,
): Record<string, string> {
  return {
    format: FORMAT,
    architecture,
    classes: JSON.stringify(classes.map(({ wnid, label }) => [wnid, label])),
    preprocessing: JSON.stringify(preprocessing),
  };
}

/**
 * The description in a file; undefined when it holds nothing but weights.
 *
 * @throws {FileError} When it holds a description that cannot be used.
 */
export function readDescription({ name, metadata }: WeightsFile): Description | undefined {
  const format = metadata.get("format");
  if (!format?.startsWith("pembroke ")) return undefined;
  if (format.startsWith("pembroke checkpoint ")) {
    throw new FileError(
      name,
      "is a checkpoint of a training run: for alexnet-tiny, `deno task export` makes a model of it",
    );
  }
  if (format !== FORMAT) {
    throw new FileError(name, `has the format ${escapeText(format)}, this version reads ${FORMAT}`);
  }
  const architecture = architectures.find((name) => name === metadata.get("architecture"));
  if (!architecture) {
    const said = escapeText(metadata.get("architecture") ?? "none");
    throw new FileError(name, `describes the network ${said}, not ${architectures.join(" or ")}`);
  }
  const json = (key: string): unknown => {
    try {
      return JSON.parse(metadata.get(key) ?? "");
    } catch (cause) {
      throw new FileError(name, `its metadata holds no readable ${key}: damaged`, { cause });
    }
  };
  const classes = json("classes"), preprocessing = json("preprocessing");
  if (!areClasses(classes)) {
    throw new FileError(name, "its classes are not a list of pairs of texts: damaged");
  }
  if (!isPreprocessing(preprocessing)) {
    throw new FileError(name, "its preprocessing is not one of images: damaged");
  }
  const { resize, interpolation = "bilinear", crop, mean, std, channels } = preprocessing;
  return {
    architecture,
    classes: classes.map(([wnid, label]) => ({ wnid, label })),
    preprocessing: { resize, interpolation, crop, mean, std, ...(channels && { channels }) },
  };
}

function areClasses(value: unknown): value is [wnid: string, label: string][] {
  return Array.isArray(value) && value.length > 0 &&
    value.every((pair) =>
      Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === "string")
    );
}

function isPreprocessing(value: unknown): value is Preprocessing {
  const fields = (value ?? {}) as Record<string, unknown>;
  const { resize, interpolation, crop, mean, std, channels } = fields;
  const isSide = (side: unknown) =>
    Number.isInteger(side) && Number(side) >= 1 && Number(side) <= largestSide;
  const areThree = (list: unknown): list is number[] =>
    Array.isArray(list) && list.length === 3 && list.every(Number.isFinite);
  const isFilter = interpolation === undefined || interpolations.some((f) => f === interpolation);
  const isOrder = channels === undefined || channelOrders.some((order) => order === channels);
  return isFilter && isOrder && isSide(resize) && isSide(crop) && areThree(mean) && areThree(std) &&
    std.every((deviation) => deviation > 0);
}
