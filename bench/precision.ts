/**
 * What storing weights in fewer bits costs and saves: `deno task precision [FILE…]`. Files hold weights
 * in 32 bits; without any, the bundled model (what its 8 bits stand for) and AlexNet as
 * `torch.manual_seed(0)` initialises it are taken. Images are crops of the photographs in tests/photos.
 *
 * @module
 */

import { createBackend } from "../src/backend/mod.ts";
import { decodeImage } from "../src/image/mod.ts";
import type { RgbImage } from "../src/image/pixels.ts";
import { writeFile } from "../src/io/write_file.ts";
import { bundledWeights } from "../src/models/bundled.ts";
import { describe } from "../src/models/description.ts";
import { AlexNet, type Classifier, loadModel } from "../src/models/mod.ts";
import { openInput } from "../src/models/load.ts";
import { RandomGenerator } from "../src/random.ts";
import { convertWeights, type StoredPrecision, storedPrecisions } from "../src/weights/convert.ts";
import { type TensorToWrite, writeSafetensors } from "../src/weights/mod.ts";
import { summarise } from "./lib/stats.ts";
import { type Column, table } from "./lib/table.ts";

/** Crops of each photograph. */
const crops = 100;

if (import.meta.main) await main(Deno.args);

async function main(files: readonly string[]): Promise<void> {
  const folder = await Deno.makeTempDir(), images = await photographs();
  const columns: Column[] = [
    { title: "stored as", align: "left" },
    { title: "file\nMB", align: "right" },
    { title: "in memory\nMB", align: "right" },
    { title: "an image\nms", align: "right" },
    { title: "same\ntop-1", align: "right" },
    { title: "logits differ by\n% of the largest", align: "right" },
    { title: "\nat most", align: "right" },
  ];
  try {
    const models = files.length > 0 ? files.map((file) => ({ name: file, weights: file })) : [
      { name: "alexnet-tiny", weights: bundledWeights() },
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

/** A row for each precision, the first being what the others are compared with. */
async function compare(
  weights: string | URL,
  images: readonly RgbImage[],
  path: string,
): Promise<string[][]> {
  using stack = new DisposableStack();
  const stored: Stored[] = [];
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
  for (const image of images) {
    const values = stored[0].model.preprocess(image);
    for (const { model, logits, times } of stored) { // in turns: the machine has moods
      const start = performance.now();
      using x = model.backend.upload(values, model.inputShape());
      using y = model.forward(x);
      logits.push(await y.read());
      times.push(performance.now() - start);
    }
  }
  return stored.map(({ precision, size, model, logits, times }) => {
    const { agreeing, mean, most } = differences(stored[0].logits, logits);
    const compared = precision === "f32" ? ["", "", ""] : [
      `${(100 * agreeing).toFixed(1)} %`,
      (100 * mean).toPrecision(2),
      (100 * most).toPrecision(2),
    ];
    return [
      precision,
      (size / 1e6).toFixed(1),
      (model.backend.bytesInUse / 1e6).toFixed(1),
      summarise(times).median.toFixed(1),
      ...compared,
    ];
  });
}

/** A model in one precision, and what it has said. */
interface Stored {
  readonly precision: StoredPrecision;
  /** Bytes of its file. */
  readonly size: number;
  readonly model: Classifier;
  readonly logits: Float32Array[];
  /** Milliseconds. */
  readonly times: number[];
}

/** How many have the same largest logit, and how far logits are apart, of each image's largest. */
function differences(a: readonly Float32Array[], b: readonly Float32Array[]) {
  let agreeing = 0, sum = 0, most = 0;
  for (const [i, of] of a.entries()) {
    const other = b[i], largest = Math.max(...of.map(Math.abs));
    if (of.indexOf(Math.max(...of)) === other.indexOf(Math.max(...other))) agreeing++;
    const apart = of.map((value, j) => Math.abs(value - other[j]) / largest);
    sum += apart.reduce((total, value) => total + value, 0) / apart.length;
    most = Math.max(most, ...apart);
  }
  return { agreeing: agreeing / a.length, mean: sum / a.length, most };
}

/** Squares out of photographs, of any place and size. */
async function photographs(): Promise<RgbImage[]> {
  const generator = new RandomGenerator(1), images: RgbImage[] = [];
  for (const name of ["chelsea.png", "coffee.jpg", "rocket.jpg"]) {
    const photo = await decodeImage(
      await Deno.readFile(new URL(`../tests/photos/${name}`, import.meta.url)),
    );
    for (let i = 0; i < crops; i++) images.push(crop(photo, generator));
  }
  return images;
}

function crop({ width, height, data }: RgbImage, generator: RandomGenerator): RgbImage {
  const draws = new Float32Array(3);
  generator.uniform(draws, 0, 1);
  const side = Math.floor((0.3 + 0.7 * draws[0]) * Math.min(width, height));
  const left = Math.floor(draws[1] * (width - side)), top = Math.floor(draws[2] * (height - side));
  const pixels = new Uint8Array(side * side * 3);
  for (let row = 0; row < side; row++) {
    const from = ((top + row) * width + left) * 3;
    pixels.set(data.subarray(from, from + side * 3), row * side * 3);
  }
  return { width: side, height: side, data: pixels };
}

/** A file of the weights that PyTorch would draw. */
async function randomAlexNet(folder: string): Promise<string> {
  using backend = await createBackend({ threads: 1 });
  using model = new AlexNet().init(backend, { seed: 0 });
  const tensors: TensorToWrite[] = [];
  for (const [name, { shape, tensor }] of model.stateDict()) {
    tensors.push({ name, dtype: "F32", shape, data: await tensor!.read() });
  }
  const { classes, preprocessing } = model, path = `${folder}/alexnet.safetensors`;
  const description = describe({ architecture: "alexnet", classes, preprocessing });
  await Deno.writeFile(path, writeSafetensors(tensors, description));
  return path;
}
