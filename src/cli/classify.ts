/** `cli.ts classify`: prints the most probable classes of each image. */

import type { Backend } from "../backend/mod.ts";
import { prepareImage } from "../image/prepare.ts";
import type { Preprocessing } from "../image/preprocess.ts";
import type { Precision } from "../layers/precision.ts";
import type { Prediction } from "../models/mod.ts";
import type { ModelOptions, Options } from "./args.ts";
import { Device } from "./device.ts";
import { expand, type Input, inputsFrom, inShard } from "./inputs.ts";
import { type SelectedModel, selectModel } from "./model.ts";
import { type Result, resultText, timingsText } from "./output.ts";
import { type Outcome, outcomes, type Stages } from "./pipeline.ts";
import { Progress } from "./progress.ts";
import { complain, note, noteSkipped, plural, print, warn } from "./terminal.ts";

/** From this many images on, threads pay off: they start in 50 ms, and save 8 ms of 23 per image. */
const bulkThreshold = 16;

/** Classifies every input, prints the results, and returns the exit code. */
export async function classify(options: Options): Promise<number> {
  const { format, quiet, topK } = options;
  using resultFile = options.resume === undefined ? undefined : await openResults(options.resume);
  const { count = 0 } = resultFile ?? {};
  if (count > 0 && !quiet) note(`${options.resume}: resuming after ${plural(count, "result")}`);
  let total: number | undefined;
  let skipped = 0;
  const requested = inputsOf(options, () => skipped++);
  const inputs = counted(resultFile?.skipDone(requested) ?? requested, (length) => total = length);
  const first: Input[] = [];
  // a list is assumed to be long, so that its first lines do not wait for more
  let bulk = options.filesFrom !== undefined;
  while (!bulk) {
    const next = await inputs.next();
    if (next.done) break;
    first.push(next.value);
    bulk = first.length === bulkThreshold;
  }

  const threads = bulk ? "auto" : 1;
  using device = await Device.open(options, threads, (on) => loadWeights(selected, on, options));
  using selected = await selectModel(options);
  const { model } = selected, { preprocessing } = model;
  // no bar where results go to the same terminal
  const showsBar = format === "json" || resultFile !== undefined || !Deno.stdout.isTerminal();
  const progress = new Progress("classifying", !quiet && showsBar);
  const run = (images: readonly Float32Array[]) => model.classifyBatch(images, { topK });
  using many = bulk ? await startBulk(preprocessing, device, run) : undefined;
  const stages = many ?? {
    decode: (bytes: Uint8Array, name: string) => prepareImage(bytes, preprocessing, { name }),
    readAhead: 1,
    prepare: () => device.prepare(),
    run: (images: readonly Float32Array[]) => device.run(() => run(images)),
    batchSize: 1,
  };
  // not earlier: an unreadable image must not wait for 61 million weights
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

  if (format === "json") {
    const { name, threads } = device.backend;
    const { name: model, weights } = selected;
    const precision = effectivePrecision(selected.precision, device.backend);
    const document = { model, weights, precision, backend: name, threads, results };
    print(JSON.stringify(document, null, 2));
  }
  return failures > 0 ? 1 : 0;
}

// Their modules are imported only then, for a fast start.

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

/** An outcome as JSON has it. */
function resultOf(outcome: Outcome<Input, Prediction[]>): Result {
  const { name } = outcome.input;
  if ("error" in outcome) return { input: name, error: outcome.error };
  const { output: predictions, timings } = outcome;
  return { input: name, predictions, timings };
}

/** The requested images in order, or this shard's part of them. */
export function inputsOf(options: Options, onSkip: () => void): AsyncGenerator<Input> {
  // before images with results are skipped: positions must not depend on them
  const inputs = allInputs(options, onSkip);
  return options.shard ? inShard(inputs, options.shard) : inputs;
}

async function* allInputs(
  { inputs, filesFrom }: Options,
  onSkip: () => void,
): AsyncGenerator<Input> {
  for (const argument of inputs) yield* expand(argument, onSkip);
  if (filesFrom !== undefined) yield* inputsFrom(filesFrom, onSkip);
}

/** The same items; calls back with their count at the end. */
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

/** Loads the weights, and prints the model, the backend and the hint. */
export async function loadWeights(
  { model, weights, precision, hint, load }: SelectedModel,
  backend: Backend,
  { quiet, verbose }: ModelOptions,
): Promise<void> {
  const start = performance.now(), progress = new Progress("loading", !quiet);
  try {
    await load(backend, (done, total) => progress.update(done, total));
  } finally {
    progress.clear();
  }
  if (quiet) return;
  const duration = verbose ? `, ready after ${(performance.now() - start).toFixed(1)} ms` : "";
  const threads = plural(backend.threads, "thread");
  const actual = effectivePrecision(precision, backend);
  const name = actual === "f32" ? model.type : `${model.type} ${actual}`;
  note(`${name}, ${weights}, ${backend.name}, ${threads}${duration}`);
  if (hint) note(hint);
}

/** The precision in which a backend holds weights: Wasm has no f16. */
function effectivePrecision(precision: Precision, backend: Backend): Precision {
  return precision === "f16" && backend.device !== "webgpu" ? "f32" : precision;
}

/** Prints a result, unless it becomes part of a JSON document. */
function printResult(
  result: Result,
  { format, verbose }: Options,
  printLine: (line: string) => void,
): void {
  if (format === "jsonl") printLine(JSON.stringify(result));
  if ("error" in result) return complain(result.error);
  if (format === "text") print(resultText(result));
  if (verbose) note(timingsText(result));
}
