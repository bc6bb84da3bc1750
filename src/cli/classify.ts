/** `cli.ts classify`: the most probable classes of each image. */

import type { Backend } from "../backend/mod.ts";
import { prepareImage } from "../image/prepare.ts";
import { DecodePool } from "../image/threads/pool.ts";
import type { Precision } from "../layers/mod.ts";
import type { Options } from "./args.ts";
import { Device } from "./device.ts";
import { expand, type Input, isWebUrl, listedIn } from "./inputs.ts";
import { choose, type Chosen } from "./model.ts";
import { type Result, resultText, timingsText } from "./output.ts";
import { outcomes, type Stages } from "./pipeline.ts";
import { Progress } from "./progress.ts";
import { Resumed } from "./resume.ts";
import { complain, note, print, warn } from "./terminal.ts";

/** Threads take 50 ms to start, and save 8 of the 23 that AlexNet takes for an image. */
const manyImages = 16;
/** With 16, threads that decode get in the way of those that compute more often: a tenth slower. */
const batchSize = 32;

/** Classifies every input, prints what came of each, and returns the exit code. */
export async function classify(options: Options): Promise<number> {
  const { format, quiet, topK } = options;
  using resumed = options.resume === undefined ? undefined : await Resumed.open(options.resume);
  if (resumed?.count && !quiet) note(`${options.resume}: going on after ${resumed.count}`);
  let total: number | undefined;
  const wanted = resumed?.without(inputsOf(options)) ?? inputsOf(options);
  const inputs = counted(wanted, (count) => total = count);
  const first: Input[] = [];
  // a list is a long one; its first lines need not wait for others
  let many = options.filesFrom !== undefined;
  for (let next; !many && !(next = await inputs.next()).done; many = first.length === manyImages) {
    first.push(next.value);
  }

  const threads = many ? "auto" : 1;
  using device = await Device.open(options, threads, (on) => prepare(chosen, on, options));
  using chosen = await choose(options);
  const { model } = chosen, { preprocessing } = model;
  const processors = navigator.hardwareConcurrency;
  using decoders = many ? new DecodePool(processors, preprocessing) : undefined;
  // no result beside the bar
  const apart = format === "json" || resumed !== undefined || !Deno.stdout.isTerminal();
  const progress = new Progress("classifying", !quiet && apart);
  const stages: Stages = {
    decode: (bytes, name) =>
      decoders?.decode(bytes, { name, reuse: !isWebUrl(name) }) ??
        prepareImage(bytes, preprocessing, { name }),
    // a batch that waits, and for every worker one image to decode and one to go on with
    most: many ? batchSize + 2 * processors : 1,
    // only now: an image that cannot be read must not wait for 61 million weights
    async prepare() {
      progress.clear();
      await device.prepare();
    },
    classify: (images) => device.run(() => model.classifyBatch(images, { topK })),
    batchSize: many ? batchSize : 1,
  };

  const results: Result[] = []; // of a document: lines may be without end
  let done = 0, failures = 0;
  for await (const { result, warnings } of outcomes(chain(first, inputs), stages)) {
    progress.update(++done, total, "images");
    if (warnings.length > 0 || "error" in result || options.verbose) progress.clear();
    if (!quiet) warnings.forEach(warn);
    report(result, options, (line) => resumed ? resumed.write(line) : print(line));
    if ("error" in result) failures++;
    if (format === "json") results.push(result);
  }
  progress.clear();

  if (format === "json") {
    const { name, threads } = device.backend;
    const { name: model, weights } = chosen, precision = heldIn(chosen.precision, device.backend);
    const document = { model, weights, precision, backend: name, threads, results };
    print(JSON.stringify(document, null, 2));
  }
  return failures > 0 ? 1 : 0;
}

/** All that is asked for, in order. */
async function* inputsOf({ inputs, filesFrom }: Options): AsyncGenerator<Input> {
  for (const argument of inputs) yield* expand(argument);
  if (filesFrom !== undefined) yield* listedIn(filesFrom);
}

/** The same items; says how many there were, when that is known. */
async function* counted<T>(
  items: AsyncIterable<T>,
  onEnd: (count: number) => void,
): AsyncGenerator<T> {
  let count = 0;
  for await (const item of items) {
    count++;
    yield item;
  }
  onEnd(count);
}

async function* chain<T>(first: Iterable<T>, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield* first;
  yield* rest;
}

/** Gives the model its weights, and says what will compute. */
export async function prepare(
  { model, weights, precision, hint, prepare }: Chosen,
  backend: Backend,
  { quiet, verbose }: Options,
): Promise<void> {
  const start = performance.now(), progress = new Progress("loading", !quiet);
  try {
    await prepare(backend, (done, total) => progress.update(done, total));
  } finally {
    progress.clear();
  }
  if (quiet) return;
  const took = verbose ? `, ready after ${(performance.now() - start).toFixed(1)} ms` : "";
  const threads = `${backend.threads} thread${backend.threads === 1 ? "" : "s"}`;
  const held = heldIn(precision, backend);
  const name = held === "f32" ? model.type : `${model.type} ${held}`;
  note(`${name}, ${weights}, ${backend.name}, ${threads}${took}`);
  if (hint) note(hint);
}

/** How a backend holds weights that are to be held in a precision. */
function heldIn(precision: Precision, backend: Backend): Precision {
  return precision === "f16" && !backend.emptyHalf ? "f32" : precision;
}

/** Prints a result at once, unless it is to be part of a document. */
function report(
  result: Result,
  { format, verbose }: Options,
  printLine: (line: string) => void,
): void {
  if (format === "jsonl") printLine(JSON.stringify(result));
  if ("error" in result) return complain(result.error);
  if (format === "text") print(resultText(result));
  if (verbose) note(timingsText(result));
}
