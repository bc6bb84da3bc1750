/** `cli.ts classify --features`: what a network's last layer takes, for each image. */

import { writeFile } from "../io/write_file.ts";
import type { Classifier } from "../models/mod.ts";
import type { Tensor } from "../tensor.ts";
import type { Options } from "./args.ts";
import { bulkStages } from "./bulk.ts";
import { inputsOf } from "./classify.ts";
import { type Device, openModel } from "./device.ts";
import { asWriteError } from "./errors.ts";
import { type Input, pathOf } from "./inputs.ts";
import { withSignalCleanupWhenBusy } from "./interrupts.ts";
import { checkDiffers, checkOutput, writeText } from "./outputs.ts";
import { outcomes } from "./pipeline.ts";
import { Progress } from "./progress.ts";
import { escapeControls, note, noteSkipped, print, printError, warn } from "./terminal.ts";

/** The features of an image. */
interface Features {
  readonly name: string;
  readonly values: Float32Array;
}

/** Prints or writes the features of every image, and returns the exit code. */
export async function features(options: Options): Promise<number> {
  const { output, filesFrom, quiet } = options;
  if (output !== undefined) await checkFiles(output, filesFrom);
  using opened = await openModel(options);
  const { device, selected } = opened;
  const { model } = selected, { featureCount } = model;
  let skipped = 0, failures = 0;
  const failed = (line: string) => {
    failures++;
    printError(line);
  };
  // no bar where results go to the same terminal
  const showsBar = !quiet && (output !== undefined || !Deno.stdout.isTerminal());
  const say = { quiet, showsBar, failed };
  const items = featuresOf(inputsOf(options, () => skipped++), model, device, say);
  if (output === undefined) {
    for await (const { name: file, values } of items) {
      print(JSON.stringify({ file, features: [...values] }));
    }
  } else await writeNpy(output, items, featureCount, quiet);
  if (!quiet) noteSkipped(skipped);
  return failures > 0 ? 1 : 0;
}

/** Computes the features of images, in their order. Leaves out those that cannot be computed. */
async function* featuresOf(
  inputs: AsyncGenerator<Input>,
  model: Classifier,
  device: Device,
  { quiet, showsBar, failed }: {
    readonly quiet: boolean;
    readonly showsBar: boolean;
    readonly failed: (line: string) => void;
  },
): AsyncGenerator<Features> {
  using stages = bulkStages(model.preprocessing, device, (images) => runFeatures(model, images));
  const progress = new Progress("computing", showsBar);
  let done = 0;
  for await (const outcome of outcomes(inputs, stages)) {
    progress.update(++done, undefined, "images");
    if ("error" in outcome) {
      progress.clear();
      failed(outcome.error);
      continue;
    }
    const { input: { name }, output: values, warnings } = outcome;
    if (warnings.length > 0) progress.clear();
    if (!quiet) warnings.forEach(warn);
    if (values.every(Number.isFinite)) yield { name, values };
    else {
      progress.clear();
      const line = `${name}: ${model.type} computes features that are not finite`;
      failed(`${line}; use other weights with --weights`);
    }
  }
  progress.clear();
}

/** The features of each of a batch of preprocessed images. */
export async function runFeatures(
  model: Classifier,
  images: readonly Float32Array[],
): Promise<Float32Array[]> {
  using x: Tensor = model.backend.empty(model.inputShape(images.length));
  for (const [i, image] of images.entries()) model.backend.write(x, image, i * image.length);
  using features = model.features(x);
  const values = await features.read(), count = features.shape[1];
  return images.map((_, i) => values.slice(i * count, (i + 1) * count));
}

/** Bytes of the header, so that it can be written last: only then is the number of rows known. */
const headerBytes = 128;

/** The file with the names of a matrix's rows. */
function listOf(output: string): string {
  return pathOf(output).replace(/\.npy$/i, ".txt");
}

/** Throws if a file cannot be written, or is the list of images. */
async function checkFiles(output: string, filesFrom: string | undefined): Promise<void> {
  for (const file of [pathOf(output), listOf(output)]) {
    await checkOutput(file);
    if (filesFrom === undefined) continue;
    await checkDiffers("--output", output, filesFrom, "the list of --files-from", file);
  }
}

/**
 * Writes features as a matrix [N, F] for numpy.load(), and the names of its rows beside it. If one
 * of them cannot be written, neither is replaced.
 */
async function writeNpy(
  output: string,
  items: AsyncIterable<Features>,
  count: number,
  quiet: boolean,
): Promise<void> {
  const list = listOf(output), names: string[] = [];
  try {
    await withSignalCleanupWhenBusy((onCreated) =>
      writeFile(pathOf(output), async (sink) => {
        onCreated();
        let at = headerBytes;
        for await (const { name, values } of items) {
          const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
          sink.write(at, bytes);
          at += bytes.length;
          names.push(escapeControls(name)); // one line each
        }
        sink.write(0, npyHeader([names.length, count]));
      }, () => writeText(list, names.map((name) => `${name}\n`).join("")))
    );
  } catch (error) {
    throw asWriteError(output, error);
  }
  if (!quiet) note(`${output}: float32 [${names.length}, ${count}]; ${list}: names of the rows`);
}

/** The header of a little-endian float32 array in C order, version 1.0 of NumPy's format. */
function npyHeader(shape: readonly number[]): Uint8Array {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  const bytes = new Uint8Array(headerBytes).fill(0x20);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, headerBytes - 10, 0]);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes[headerBytes - 1] = 0x0a;
  return bytes;
}
