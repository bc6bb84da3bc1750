/**
 * Measures the accuracy of weights on the validation images, and how well their probabilities match it.
 * Images are classified one by one with {@linkcode Classifier.classify}, like photos.
 *
 *     deno task evaluate --data tiny-imagenet
 *
 * @module
 */

import { type Backend, type Classifier, createBackend, FileError, loadModel } from "../../mod.ts";
import { type ClassResult, formatAccuracy, sumResults } from "./accuracy.ts";
import { calibrationError, Calibrator, formatCalibration } from "./calibration.ts";
import { preprocessing } from "./networks.ts";
import { type Images, readClasses, readSheets, type SheetClass } from "./sheets.ts";
import {
  parseOptions,
  runTask,
  StatusLine,
  toFileError,
  UsageError,
  writeAtomically,
} from "./task.ts";

const usage = `\
Measures the accuracy of weights on the validation images of Tiny ImageNet, and the expected
calibration error: how far probabilities are from the share of right predictions, on average.

Usage: deno task evaluate --data FOLDER [options] [WEIGHTS…]

Without WEIGHTS, it evaluates the bundled model. Each of several files is compared with the first.

Options:
      --data FOLDER       the data: classes.tsv, and a sheet <wnid>.jpg per class in val/
      --per-class N       use only N images per class, for a quick test
      --tsv FILE          write the accuracy of each class to FILE
      --calibration FILE  write images and right predictions by probability to FILE
  -h, --help              print this help

Of several WEIGHTS, the files have the results of the last ones.`;

interface Options {
  readonly data: string;
  readonly weights: readonly (string | undefined)[];
  readonly perClass?: number;
  readonly tsv?: string;
  readonly calibration?: string;
}

/** Runs the task and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  return await runTask({ usage, readArgs, run: evaluate }, args);
}

async function evaluate(options: Options): Promise<void> {
  const { data, weights, perClass } = options, classes = await readClasses(data);
  const images = await readSheets(`${data}/val`, classes, { size: preprocessing.crop, perClass });
  using backend = await createBackend({ device: "wasm" });
  let firstTop1: number | undefined;
  for (const path of weights) {
    const { results, calibrations } = await evaluateWeights(path, backend, images, classes);
    const { count, top1, top5 } = sumResults(results);
    const percent = (correct: number) => `${(correct / count * 100).toFixed(2)} %`;
    const difference = firstTop1 === undefined
      ? ""
      : `, ${formatSigned((top1 - firstTop1) / count * 100)} points`;
    firstTop1 ??= top1;
    const name = path ?? "the bundled model";
    const [error, before] = calibrations.map((found) => percent(count * calibrationError(found)));
    const { temperature } = calibrations[0];
    console.log(
      `${name}: top-1 ${percent(top1)}, top-5 ${percent(top5)} of ${count} images${difference}; ` +
        `calibration error ${error}` +
        (before === undefined ? "" : `, ${before} without the temperature ${temperature}`),
    );
    if (path !== weights.at(-1)) continue;
    const { tsv, calibration } = options;
    if (tsv !== undefined) await writeAtomically(tsv, formatAccuracy(results));
    if (calibration !== undefined) {
      await writeAtomically(calibration, formatCalibration(calibrations));
    }
  }
}

/** The results of classifying all images. */
interface Evaluation {
  readonly results: ClassResult[];
  /** With the temperature of the model and, if that is not 1, without it. */
  readonly calibrations: Calibrator[];
}

/** Classifies all images with the weights in a file, or with the bundled model. */
async function evaluateWeights(
  path: string | undefined,
  backend: Backend,
  images: Images,
  classes: readonly SheetClass[],
): Promise<Evaluation> {
  const name = path ?? "the bundled model";
  using model = await loadModel({ backend, weights: path }).catch((error) => {
    throw toFileError(name, error);
  });
  const wnids = new Set(model.classes.map(({ wnid }) => wnid));
  const missing = classes.find(({ wnid }) => !wnids.has(wnid));
  if (missing) throw new FileError(name, `does not have the class ${missing.wnid}`);
  return await classifyAll(model, images, classes);
}

async function classifyAll(
  model: Classifier,
  { size, length, pixels, labels }: Images,
  classes: readonly SheetClass[],
): Promise<Evaluation> {
  const bytes = size * size * 3, status = new StatusLine();
  const results = classes.map(({ wnid, label }) => ({ wnid, label, count: 0, top1: 0, top5: 0 }));
  const calibrations = [...new Set([model.temperature, 1])].map((t) => new Calibrator(t));
  for (let i = 0; i < length; i++) {
    status.show(`classifying ${i}/${length} images`);
    const data = pixels.subarray(i * bytes, (i + 1) * bytes);
    const image = { width: size, height: size, data }, result = results[labels[i]];
    const predictions = await model.classify(image, { topK: model.numClasses });
    const rank = predictions.findIndex(({ wnid }) => wnid === result.wnid);
    result.count++;
    if (rank === 0) result.top1++;
    if (rank < 5) result.top5++;
    for (const calibration of calibrations) {
      // the softmax at another temperature, from the probabilities at that of the model
      const power = model.temperature / calibration.temperature, first = predictions[0].probability;
      const sum = predictions.reduce((sum, p) => sum + (p.probability / first) ** power, 0);
      calibration.add(1 / sum, rank === 0);
    }
  }
  status.clear();
  return { results, calibrations };
}

function formatSigned(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}

function readArgs(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: {
      "data": { type: "string" },
      "per-class": { type: "string" },
      "tsv": { type: "string" },
      "calibration": { type: "string" },
      "help": { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (!values.data) throw new UsageError("--data FOLDER is missing; --help lists the options");
  const perClass = values["per-class"];
  if (perClass !== undefined && !/^[1-9]\d{0,5}$/.test(perClass)) {
    throw new UsageError(`--per-class is ${JSON.stringify(perClass)}, must be a positive integer`);
  }
  return {
    data: values.data,
    weights: positionals.length > 0 ? positionals : [undefined],
    perClass: perClass === undefined ? undefined : Number(perClass),
    tsv: values.tsv,
    calibration: values.calibration,
  };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
