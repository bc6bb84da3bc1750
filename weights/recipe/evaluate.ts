/**
 * How good a file of weights is on images it never learned from. Each image goes the way that a
 * photograph goes: {@linkcode Classifier.classify}, one at a time.
 *
 *     deno task evaluate --data tiny-imagenet
 *
 * @module
 */

import {
  AlexNetTiny,
  type Backend,
  type Classifier,
  createBackend,
  FileError,
  loadModel,
} from "../../mod.ts";
import { type ClassResult, formatAccuracy, sums } from "./accuracy.ts";
import { type Images, readClasses, readSheets, type SheetClass } from "./sheets.ts";
import { asFileError, parseOptions, runTask, StatusLine, UsageError, writeWhole } from "./task.ts";

const usage = `\
Counts how often weights find the class of Tiny ImageNet's validation images.

Usage: deno task evaluate --data FOLDER [options] [WEIGHTS…]

Without WEIGHTS, the model that comes with the library. Of several, the second and later are also
compared with the first.

Options:
      --data FOLDER  holds classes.tsv, and val/ with a sheet <wnid>.jpg for each class
      --per-class N  take only N images of each class, to try things out
      --tsv FILE     write each class's share here (of the last weights)
  -h, --help         print this`;

interface Options {
  readonly data: string;
  readonly weights: readonly (string | undefined)[];
  readonly perClass?: number;
  readonly tsv?: string;
}

/** Runs the task and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  return await runTask({ usage, readArgs, run: evaluate }, args);
}

async function evaluate({ data, weights, perClass, tsv }: Options): Promise<void> {
  const classes = await readClasses(data);
  const size = new AlexNetTiny().preprocessing.crop;
  const images = await readSheets(`${data}/val`, classes, { size, perClass });
  using backend = await createBackend({ device: "wasm" });
  let first: number | undefined;
  for (const path of weights) {
    const results = await resultsOf(path, backend, images, classes);
    const { count, top1, top5 } = sums(results);
    const share = (right: number) => `${(right / count * 100).toFixed(2)} %`;
    const points = first === undefined ? "" : `, ${signed((top1 - first) / count * 100)} points`;
    first ??= top1;
    const name = path ?? "the bundled model";
    console.log(`${name}: top-1 ${share(top1)}, top-5 ${share(top5)} of ${count} images${points}`);
    if (tsv !== undefined && path === weights.at(-1)) {
      await writeWhole(tsv, formatAccuracy(results));
    }
  }
}

/** Classifies all images with the weights in a file, or with the bundled model. */
async function resultsOf(
  path: string | undefined,
  backend: Backend,
  images: Images,
  classes: readonly SheetClass[],
): Promise<ClassResult[]> {
  const name = path ?? "the bundled model";
  using model = await loadModel({ backend, weights: path }).catch((error) => {
    throw asFileError(name, error);
  });
  const known = new Set(model.classes.map(({ wnid }) => wnid));
  const unknown = classes.find(({ wnid }) => !known.has(wnid));
  if (unknown) throw new FileError(name, `does not know the class ${unknown.wnid}`);
  return await count(model, images, classes);
}

async function count(
  model: Classifier,
  { size, length, pixels, labels }: Images,
  classes: readonly SheetClass[],
): Promise<ClassResult[]> {
  const bytes = size * size * 3, status = new StatusLine();
  const results = classes.map(({ wnid, label }) => ({ wnid, label, count: 0, top1: 0, top5: 0 }));
  for (let i = 0; i < length; i++) {
    status.show(`classifying ${i}/${length} images`);
    const data = pixels.subarray(i * bytes, (i + 1) * bytes);
    const found = await model.classify({ width: size, height: size, data }, { topK: 5 });
    const result = results[labels[i]], rank = found.findIndex(({ wnid }) => wnid === result.wnid);
    result.count++;
    if (rank === 0) result.top1++;
    if (rank >= 0) result.top5++;
  }
  status.clear();
  return results;
}

function signed(value: number): string {
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
      "help": { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (!values.data) throw new UsageError("no data given; add --data FOLDER, --help shows more");
  const perClass = values["per-class"];
  if (perClass !== undefined && !/^[1-9]\d{0,5}$/.test(perClass)) {
    throw new UsageError(`--per-class is ${JSON.stringify(perClass)}, must be a positive integer`);
  }
  return {
    data: values.data,
    weights: positionals.length > 0 ? positionals : [undefined],
    perClass: perClass === undefined ? undefined : Number(perClass),
    tsv: values.tsv,
  };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
