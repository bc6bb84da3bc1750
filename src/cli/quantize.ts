/** `cli.ts quantize`: converts weights to 8 bits, with ranges from sample photos if there are some. */

import { createBackend } from "../backend/mod.ts";
import { FileError, PembrokeError } from "../errors.ts";
import { prepareImage } from "../image/prepare.ts";
import { release } from "../image/release.ts";
import { RangeRecorder } from "../models/calibrate.ts";
import type { Classifier } from "../models/classifier.ts";
import { classScores, sigmoidIndex } from "../models/classify.ts";
import { describe } from "../models/description.ts";
import { describeRanges } from "../models/input_ranges.ts";
import { isOnnx, loadTensors, openInput } from "../models/load.ts";
import { modelFor } from "../models/load_model.ts";
import { recognize } from "../models/recognize.ts";
import type { Tensor } from "../tensor.ts";
import type { QuantizeArgs } from "./args_weights.ts";
import { convertFile } from "./convert.ts";
import { asFileError, errorLine, isPermissionError } from "./errors.ts";
import { findInputs, type Input, isWebUrl, pathOf } from "./inputs.ts";
import { networkOf } from "./model_name.ts";
import { megabytes } from "./output.ts";
import { checkOutput } from "./outputs.ts";
import { Progress } from "./progress.ts";
import { plural, print, warn } from "./terminal.ts";

/** What calibration found out. */
interface Calibration {
  /** The network and its ranges, as the metadata of the file. */
  readonly metadata: Record<string, string>;
  /** Photos that could be read. */
  readonly photos: number;
  /** Those whose most probable class is the same in 8 bits. */
  readonly same: number;
}

/** Quantizes a file and returns the exit code. On an error, the output file stays as it was. */
export async function quantize(args: QuantizeArgs): Promise<number> {
  const { from, to, calibrate, model, quiet } = args;
  await checkOutput(to);
  const needsModel = calibrate !== undefined || model !== undefined;
  const calibration = needsModel ? await calibrated(args) : undefined;
  // before it may be replaced
  const before = isWebUrl(from) ? undefined : await Deno.stat(pathOf(from)).catch(() => undefined);
  const size = await convertFile({ ...args, format: "safetensors", precision: "int8" }, {
    label: "quantizing",
    metadata: calibration?.metadata,
  });
  if (quiet) return 0;
  const instead = before ? ` instead of ${megabytes(before.size)}` : "";
  const { photos = 0, same } = calibration ?? {};
  const found = calibrate === undefined
    ? ""
    : `; calibrated with ${plural(photos, "photo")}, the top class is the same for ${same} of them`;
  print(`${to}: int8, ${megabytes(size)}${instead}${found}`);
  return 0;
}

/** Describes the network of a file, and finds its ranges if there are photos. */
async function calibrated(args: QuantizeArgs): Promise<Calibration> {
  const { from, calibrate, model: name, quiet } = args;
  using file = await openInput(pathOf(from)).catch((error) => {
    throw asFileError(from, error);
  });
  // the output has no graph: it is for a network with a name
  const network = name !== undefined ? networkOf(name) : isOnnx(file) ? recognize(file) : undefined;
  using model = await modelFor(file, { precision: "f32" }, network);
  const photos = calibrate === undefined ? [] : await photosIn(calibrate);
  using backend = await createBackend({ device: "wasm" });
  const progress = new Progress("calibrating", !quiet);
  let found = { photos: 0, same: 0 };
  try {
    await loadTensors(model, backend, file);
    if (calibrate !== undefined) found = await measure(model, calibrate, photos, progress, quiet);
  } finally {
    progress.clear();
  }
  const { network: architecture, classes, preprocessing, temperature, hasLinearHead } = model;
  const description = architecture === undefined ? {} : describe({
    architecture,
    classes,
    preprocessing,
    temperature,
    ...(hasLinearHead && { head: "linear" }),
  });
  return { ...found, metadata: { ...description, ...describeRanges(model) } };
}

/** The photos of a folder. */
async function photosIn(folder: string): Promise<Input[]> {
  const path = pathOf(folder);
  const { isDirectory } = await Deno.stat(path).catch((error) => {
    throw asFileError(folder, error);
  });
  if (!isDirectory) throw new FileError(folder, "is not a folder");
  const photos = await Array.fromAsync(findInputs(path));
  if (photos.length === 1 && photos[0].name === path) await photos[0].read(); // throws: none
  return photos;
}

/** Finds the ranges, rounds the weights, and compares the most probable classes. */
async function measure(
  model: Classifier,
  folder: string,
  photos: readonly Input[],
  progress: Progress,
  quiet: boolean,
): Promise<{ photos: number; same: number }> {
  const recorder = new RangeRecorder(model), readable: Input[] = [], expected: number[] = [];
  const isSigmoid = sigmoidIndex(model) >= 0;
  let steps = 0;
  for (const photo of photos) {
    progress.update(steps++, 2 * photos.length, "photos");
    try {
      using x = await upload(model, photo);
      const output = await recorder.record(x);
      if (!output.every(Number.isFinite)) {
        const line = `${photo.name}: ${model.type} computes an output that is not finite`;
        throw new PembrokeError(`${line}; quantize other weights`);
      }
      expected.push(top(output, isSigmoid));
      readable.push(photo);
    } catch (error) {
      if (isPermissionError(error) || !(error instanceof FileError)) throw error;
      progress.clear();
      if (!quiet) warn(`${errorLine(error)}; skipped`);
    }
  }
  if (readable.length === 0) throw new FileError(folder, "has no photo that can be read");
  recorder.apply();
  model.quantize();
  let same = 0;
  for (const [i, photo] of readable.entries()) {
    progress.update(steps++, photos.length + readable.length, "photos");
    using x = await upload(model, photo);
    using y = model.forward(x);
    if (top(await y.read(), isSigmoid) === expected[i]) same++;
  }
  return { photos: readable.length, same };
}

/** Prepares a photo as the input of a network. */
async function upload(model: Classifier, { name, read }: Input): Promise<Tensor> {
  const { values } = await prepareImage(await read(), model.preprocessing, { name });
  const x = model.backend.upload(values, model.inputShape());
  release(values);
  return x;
}

/** The index of the class with the largest score. */
function top(output: Float32Array, isSigmoid: boolean): number {
  const scores = classScores(output, 1, isSigmoid);
  return scores.reduce((best, score, i) => score > scores[best] ? i : best, 0);
}
