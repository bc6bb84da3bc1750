/** `cli.ts classify`: prints the most probable classes of each image. */

import type { Backend } from "../backend/mod.ts";
import { prepareImage } from "../image/prepare.ts";
import type { Preprocessing } from "../image/preprocess.ts";
import type { Prediction } from "../models/mod.ts";
import type { Options } from "./args.ts";
import { type Device, effectivePrecision, openModel } from "./device.ts";
import { findInputs, type Input, inShard, listedInputs } from "./inputs.ts";
import type { SelectedModel } from "./model.ts";
import { type Result, resultText, timingsText } from "./output.ts";
import { type Outcome, outcomes, type Stages } from "./pipeline.ts";
import { Progress } from "./progress.ts";
import {
  columnsForResults,
  note,
  noteSkipped,
  plural,
  print,
  printError,
  warn,
} from "./terminal.ts";

/** From this many images on, threads pay off: they start in 50 ms, and save 8 ms of 23 per image. */
const bulkThreshold = 16;

/** Classifies every input, prints the results, and returns the exit code. */
export async function classify(options: Options): Promise<number> {
  const { format, quiet } = options;
  using resultFile = options.resume === undefined ? undefined : await openResults(options.resume);
  const { count = 0 } = resultFile ?? {};
  if (count > 0 && !quiet) note(`${options.resume}: resuming after ${plural(count, "result")}`);
  let total: number | undefined;
  let skipped = 0;
  const requested = inputsOf(options, () => skipped++);
  const inputs = counted(resultFile?.skipDone(requested) ?? requested, (length) => total = length);
  // a list is assumed to be long, so that its first lines do not wait for more
  const first = options.filesFrom === undefined ? await take(inputs, bulkThreshold) : [];
  const bulk = options.filesFrom !== undefined || first.length === bulkThreshold;

  const threads = bulk ? "auto" : 1;
  using opened = await openModel(options, threads);
  const { device, selected } = opened;
  // no bar where results go to the same terminal
  const showsBar = format === "json" || resultFile !== undefined || !Deno.stdout.isTerminal();
  const progress = new Progress("classifying", !quiet && showsBar);
  using stages = await stagesFor(selected, device, options.topK, bulk);
  // weights are loaded for the first decoded image: an unreadable one does not wait for them
  let hasLoaded = false;
  const prepare = () => {
    if (!hasLoaded) progress.clear(); // loading has a bar of its own
    hasLoaded = true;
    return stages.prepare();
  };

  const results: Result[] = []; // for --json only: --jsonl has no end
  let done = 0, failures = 0;
  for await (const outcome of outcomes(chain(first, inputs), { ...stages, prepare })) {
    const { warnings = [] } = "error" in outcome ? {} : outcome;
    const result = resultOf(outcome);
    progress.update(++done, total, "images");
    if (warnings.length > 0 || "error" in result || options.verbose) progress.clear();
    if (!quiet) warnings.forEach(warn);
    printResult(result, options, (line) => resultFile ? resultFile.write(line) : print(line));
    if ("error" in result) failures++;
    if (format === "json") results.push(result);
  }
  progress.clear();
  if (!quiet) noteSkipped(skipped);
  if (format === "json") printDocument(selected, device.backend, results);
  return failures > 0 ? 1 : 0;
}

/** The stages for many images, or for a few, which are classified one by one. */
async function stagesFor(
  { model }: SelectedModel,
  device: Device,
  topK: number,
  bulk: boolean,
): Promise<Stages<Prediction[]> & Disposable> {
  const { preprocessing } = model;
  const run = (images: readonly Float32Array[]) => model.classifyBatch(images, { topK });
  if (bulk) return await startBulk(preprocessing, device, run);
  return {
    decode: (bytes, name) => prepareImage(bytes, preprocessing, { name }),
    readAhead: 1,
    prepare: () => device.prepare(),
    run: (images) => device.run(() => run(images)),
    batchSize: 1,
    [Symbol.dispose]() {},
  };
}

// The modules of these functions are imported on demand, for a fast start.

async function openResults(path: string) {
  const { ResultFile } = await import("./result_file.ts");
  return await ResultFile.open(path);
}

async function startBulk<T>(
  preprocessing: Preprocessing,
  device: Device,
  run: Stages<T>["run"],
): Promise<Stages<T> & Disposable> {
  const { bulkStages } = await import("./bulk.ts");
  return bulkStages(preprocessing, device, run);
}

/** Converts an outcome to the form that `--json` prints. */
function resultOf(outcome: Outcome<Input, Prediction[]>): Result {
  const { name } = outcome.input;
  if ("error" in outcome) return { input: name, error: outcome.error };
  const { output: predictions, timings } = outcome;
  return { input: name, predictions, timings };
}

/** The requested images in order, or this shard's part of them. */
export function inputsOf(options: Options, onSkip: () => void): AsyncGenerator<Input> {
  // sharded before images with results are skipped, because shards must not depend on results
  const inputs = allInputs(options, onSkip);
  return options.shard ? inShard(inputs, options.shard) : inputs;
}

async function* allInputs(
  { inputs, filesFrom }: Options,
  onSkip: () => void,
): AsyncGenerator<Input> {
  for (const argument of inputs) yield* findInputs(argument, onSkip);
  if (filesFrom !== undefined) yield* listedInputs(filesFrom, onSkip);
}

/** Takes the first items, at most `limit`. */
async function take<T>(items: AsyncIterator<T>, limit: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < limit) {
    const next = await items.next();
    if (next.done) break;
    taken.push(next.value);
  }
  return taken;
}

/** Yields the same items, and calls back with their number at the end. */
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

/** Prints a result, unless it becomes part of a JSON document. */
function printResult(
  result: Result,
  { format, verbose }: Options,
  printLine: (line: string) => void,
): void {
  if (format === "jsonl") printLine(JSON.stringify(result));
  if ("error" in result) return printError(result.error);
  if (format === "text") print(resultText(result, columnsForResults()));
  if (verbose) note(timingsText(result));
}

/** Prints all results as one JSON document. */
function printDocument(
  selected: SelectedModel,
  backend: Backend,
  results: readonly Result[],
): void {
  const { name: model, weights } = selected;
  const precision = effectivePrecision(selected.precision, backend);
  const document = { model, weights, precision, backend: backend.name, threads: backend.threads };
  print(JSON.stringify({ ...document, results }, null, 2));
}
