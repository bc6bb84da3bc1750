/**
 * Compares weights stored as f32, f16 and int8, in size, speed and accuracy:
 * `deno task precision [FILE…]`.
 *
 * The files hold f32 weights. Without any, it uses the bundled model (its int8 weights expanded to
 * f32), and AlexNet with the weights that PyTorch initialises after `torch.manual_seed(0)`. The images
 * are crops of the photos in tests/photos.
 *
 * @module
 */

import { createBackend } from "../src/backend/mod.ts";
import { decodeImage } from "../src/image/mod.ts";
import type { RgbImage } from "../src/image/pixels.ts";
import { crop } from "../src/image/resize.ts";
import { writeFile } from "../src/io/write_file.ts";
import { bundledNetwork, bundledWeights } from "../src/models/bundled.ts";
import { AlexNet, type Classifier, loadModel, saveModel } from "../src/models/mod.ts";
import { openInput } from "../src/models/load.ts";
import { RandomGenerator } from "../src/random.ts";
import { convertWeights } from "../src/weights/convert.ts";
import { type StoredPrecision, storedPrecisions } from "../src/weights/stored.ts";
import { parseOptions, runTask } from "../weights/recipe/task.ts";
import { summarise } from "./lib/stats.ts";
import { type Column, table } from "./lib/table.ts";

/** Crops of each photo. */
const crops = 100;

const usage = `\
Compares weights stored as f32, f16 and int8.

Usage: deno task precision [FILE…]

The files hold f32 weights (default: the bundled network, and AlexNet with random weights).

Options:
  -h, --help  print this help`;

if (import.meta.main) Deno.exit(await runTask({ usage, readArgs, run }, Deno.args));

/** Returns the files. Undefined for --help. */
function readArgs(args: readonly string[]): readonly string[] | undefined {
  const { values, positionals } = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h", default: false } },
  });
  return values.help ? undefined : positionals;
}

async function run(files: readonly string[]): Promise<void> {
  const folder = await Deno.makeTempDir(), images = await randomCrops();
  const columns: Column[] = [
    { title: "stored as", align: "left" },
    { title: "file\nMB", align: "right" },
    { title: "in memory\nMB", align: "right" },
    { title: "per image\nms", align: "right" },
    { title: "same\ntop-1", align: "right" },
    { title: "logit error in %\nmean", align: "right" },
    { title: "\nlargest", align: "right" },
  ];
  try {
    const models = files.length > 0 ? files.map((file) => ({ name: file, weights: file })) : [
      { name: bundledNetwork, weights: bundledWeights() },
      { name: "alexnet, randomly initialised", weights: await randomAlexNet(folder) },
    ];
    const rows = [];
    for (const { name, weights } of models) {
      rows.push(name, ...await compare(weights, images, `${folder}/converted.safetensors`));
    }
    console.log(table(columns, rows));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Returns a row for each precision. The first precision is the reference for the others. */
async function compare(
  weights: string | URL,
  images: readonly RgbImage[],
  path: string,
): Promise<string[][]> {
  using stack = new DisposableStack();
  const stored: StoredModel[] = [];
  for (const precision of storedPrecisions) {
    let size = 0;
    using file = await openInput(weights);
    await writeFile(path, async (sink) => {
      size = await convertWeights(file, sink, { precision });
    });
    const backend = stack.use(await createBackend({ threads: 1 }));
    const model = stack.use(await loadModel({ backend, weights: path }));
    stored.push({ precision, size, model, logits: [], times: [] });
  }
  for (const image of images) await classify(image, stored);
  return stored.map((model) => rowOf(model, stored[0].logits));
}

/** Runs all models in turns, because the machine's speed varies. */
async function classify(image: RgbImage, stored: readonly StoredModel[]): Promise<void> {
  const values = stored[0].model.preprocess(image);
  for (const { model, logits, times } of stored) {
    const start = performance.now();
    using x = model.backend.upload(values, model.inputShape());
    using y = model.forward(x);
    logits.push(await y.read());
    times.push(performance.now() - start);
  }
}

/** The row of a model, with its differences from the logits of the first precision. */
function rowOf(
  { precision, size, model, logits, times }: StoredModel,
  reference: readonly Float32Array[],
): string[] {
  const { sameTop1, mean, largest } = differences(reference, logits);
  const comparison = precision === "f32" ? ["", "", ""] : [
    `${(100 * sameTop1).toFixed(1)} %`,
    (100 * mean).toPrecision(2),
    (100 * largest).toPrecision(2),
  ];
  return [
    precision,
    (size / 1e6).toFixed(1),
    (model.backend.bytesInUse / 1e6).toFixed(1),
    summarise(times).median.toFixed(1),
    ...comparison,
  ];
}

/** A model in one precision, with its results so far. */
interface StoredModel {
  readonly precision: StoredPrecision;
  /** Size of the file in bytes. */
  readonly size: number;
  readonly model: Classifier;
  readonly logits: Float32Array[];
  /** Milliseconds. */
  readonly times: number[];
}

/**
 * Compares logits, one array for each image: the share of images with the same top class, and the mean
 * and largest error relative to the largest logit of the image.
 */
function differences(reference: readonly Float32Array[], logits: readonly Float32Array[]) {
  let sameTop1 = 0, sum = 0, largest = 0;
  for (const [i, expected] of reference.entries()) {
    const actual = logits[i], scale = Math.max(...expected.map(Math.abs));
    const top1 = (values: Float32Array) => values.indexOf(Math.max(...values));
    if (top1(expected) === top1(actual)) sameTop1++;
    const errors = expected.map((value, j) => Math.abs(value - actual[j]) / scale);
    sum += errors.reduce((total, value) => total + value, 0) / errors.length;
    largest = Math.max(largest, ...errors);
  }
  return { sameTop1: sameTop1 / reference.length, mean: sum / reference.length, largest };
}

/** Square crops of the photos, at random positions and sizes. */
async function randomCrops(): Promise<RgbImage[]> {
  const generator = new RandomGenerator(1), images: RgbImage[] = [];
  for (const name of ["chelsea.png", "coffee.jpg", "rocket.jpg"]) {
    const photo = await decodeImage(
      await Deno.readFile(new URL(`../tests/photos/${name}`, import.meta.url)),
    );
    for (let i = 0; i < crops; i++) images.push(randomCrop(photo, generator));
  }
  return images;
}

function randomCrop(photo: RgbImage, generator: RandomGenerator): RgbImage {
  const draws = new Float32Array(3);
  generator.uniform(draws, 0, 1);
  const [scale, x, y] = draws;
  const side = Math.floor((0.3 + 0.7 * scale) * Math.min(photo.width, photo.height));
  const left = Math.floor(x * (photo.width - side)), top = Math.floor(y * (photo.height - side));
  return crop(photo, { left, top, width: side, height: side });
}

/** Writes a file with AlexNet's initial weights in PyTorch. */
async function randomAlexNet(folder: string): Promise<string> {
  using backend = await createBackend({ threads: 1 });
  using model = new AlexNet().init(backend, { seed: 0 });
  const path = `${folder}/alexnet.safetensors`;
  await Deno.writeFile(path, await saveModel(model));
  return path;
}
