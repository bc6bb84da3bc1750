/** `cli.ts classify`: the most probable classes of each image. */

import type { Backend } from "../backend.ts";
import { decodeImage } from "../image/mod.ts";
import type { Classifier } from "../models/mod.ts";
import type { Options } from "./args.ts";
import { Device } from "./device.ts";
import { isPermissionError, lineOf } from "./errors.ts";
import { expand, type Input } from "./inputs.ts";
import { choose, type Chosen } from "./model.ts";
import { type Result, resultText, timingsText } from "./output.ts";
import { Progress } from "./progress.ts";
import { complain, note, print, warn } from "./terminal.ts";

/** Threads take 50 ms to start, and save 8 of the 23 that AlexNet takes for an image. */
const manyImages = 16;

/** Classifies every input, prints what came of each, and returns the exit code. */
export async function classify(options: Options): Promise<number> {
  const inputs = (await Promise.all(options.inputs.map(expand))).flat();
  const threads = inputs.length < manyImages ? 1 : "auto";
  using device = await Device.open(options, threads, (on) => prepare(chosen, on, options));
  using chosen = await choose(options);
  const { model } = chosen;

  const results: Result[] = [];
  const apart = options.format === "json" || !Deno.stdout.isTerminal(); // no result beside the bar
  const progress = new Progress("classifying", !options.quiet && apart);
  for (const [i, input] of inputs.entries()) {
    progress.update(i, inputs.length, "images");
    const warnings: string[] = [];
    const decoded = await decode(input, model, (warning) => warnings.push(warning));
    // an image that cannot be read does not wait for 61 million weights
    const result = "values" in decoded
      ? await device.run(() => infer(input, decoded, model, options, device))
      : decoded;
    progress.clear();
    if (!options.quiet) warnings.forEach(warn);
    report(result, options);
    results.push(result);
  }

  if (options.format === "json") {
    const { name, threads } = device.backend;
    const { name: model, weights, precision } = chosen;
    const document = { model, weights, precision, backend: name, threads, results };
    print(JSON.stringify(document, null, 2));
  }
  return results.some((result) => "error" in result) ? 1 : 0;
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
  const name = precision === "f32" ? model.type : `${model.type} ${precision}`;
  note(`${name}, ${weights}, ${backend.name}, ${threads}${took}`);
  if (hint) note(hint);
}

/** An image as the model takes it, and how long that took. */
interface Decoded {
  readonly values: Float32Array;
  readonly decodeMs: number;
  readonly preprocessMs: number;
}

/** Reads an image; only a missing permission is thrown. */
async function decode(
  { name, read }: Input,
  model: Classifier,
  onWarning: (message: string) => void,
): Promise<Decoded | Result> {
  try {
    const start = performance.now();
    const image = await decodeImage(await read(), { name, onWarning });
    const decoded = performance.now();
    const values = model.preprocess(image);
    return {
      values,
      decodeMs: decoded - start,
      preprocessMs: performance.now() - decoded,
    };
  } catch (error) {
    return failed(name, error);
  }
}

async function infer(
  { name }: Input,
  { values, decodeMs, preprocessMs }: Decoded,
  model: Classifier,
  { topK }: Options,
  device: Device,
): Promise<Result> {
  try {
    const start = performance.now();
    const predictions = await model.classify(values, { topK });
    const timings = { decodeMs, preprocessMs, inferenceMs: performance.now() - start };
    return { input: name, predictions, timings };
  } catch (error) {
    if (device.replaces(error)) throw error;
    return failed(name, error);
  }
}

/** What went wrong with an image, with its name in front. */
function failed(name: string, error: unknown): Result {
  if (isPermissionError(error)) throw error;
  const line = lineOf(error);
  return { input: name, error: line.startsWith(`${name}: `) ? line : `${name}: ${line}` };
}

/** Prints a result at once, unless it is to be part of a document. */
function report(result: Result, { format, verbose }: Options): void {
  if (format === "jsonl") print(JSON.stringify(result));
  if ("error" in result) return complain(result.error);
  if (format === "text") print(resultText(result));
  if (verbose) note(timingsText(result));
}
