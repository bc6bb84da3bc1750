/** `cli.ts classify`: the most probable classes of each image. */

import { type Backend, createBackend } from "../backend.ts";
import { decodeImage } from "../image/mod.ts";
import { AlexNet } from "../models/mod.ts";
import type { Options } from "./args.ts";
import { asFileError, isPermissionError, isSystemError, lineOf } from "./errors.ts";
import { expand, type Input, pathOf } from "./inputs.ts";
import { type Result, resultText, timingsText } from "./output.ts";
import { Progress } from "./progress.ts";
import { complain, note, print, warn } from "./terminal.ts";

/** Classifies every input, prints what came of each, and returns the exit code. */
export async function classify(options: Options): Promise<number> {
  const inputs = (await Promise.all(options.inputs.map(expand))).flat();
  using backend = await createBackend({ device: options.backend });
  const start = performance.now();
  const { model, weights } = await prepare(options, backend);
  const took = options.verbose ? `, ready after ${(performance.now() - start).toFixed(1)} ms` : "";
  const threads = `${backend.threads} thread${backend.threads === 1 ? "" : "s"}`;
  if (!options.quiet) note(`${model.type}, ${weights}, ${backend.name}, ${threads}${took}`);

  const results: Result[] = [];
  const apart = options.format === "json" || !Deno.stdout.isTerminal(); // no result beside the bar
  const progress = new Progress("classifying", !options.quiet && apart);
  for (const [i, input] of inputs.entries()) {
    progress.update(i, inputs.length, "images");
    const warnings: string[] = [];
    const result = await classifyOne(input, model, options, (warning) => warnings.push(warning));
    progress.clear();
    if (!options.quiet) warnings.forEach(warn);
    report(result, options);
    results.push(result);
  }

  if (options.format === "json") {
    const { name, threads } = backend;
    const document = { model: options.model, weights, backend: name, threads, results };
    print(JSON.stringify(document, null, 2));
  }
  return results.some((result) => "error" in result) ? 1 : 0;
}

/** The model with its weights, and what to call these. */
async function prepare(
  { weights, seed, quiet }: Options,
  backend: Backend,
): Promise<{ model: AlexNet; weights: string }> {
  if (weights === undefined) {
    return { model: new AlexNet().init(backend, { seed }), weights: `random (seed ${seed})` };
  }
  const progress = new Progress("loading", !quiet);
  const onProgress = (done: number, total: number) => progress.update(done, total);
  try {
    return { model: await AlexNet.load(backend, pathOf(weights), { onProgress }), weights };
  } catch (error) {
    throw isSystemError(error) ? asFileError(weights, error) : error;
  } finally {
    progress.clear();
  }
}

/** What came of an image; only a missing permission is thrown. */
async function classifyOne(
  { name, read }: Input,
  model: AlexNet,
  { topK }: Options,
  onWarning: (message: string) => void,
): Promise<Result> {
  try {
    const start = performance.now();
    const image = await decodeImage(await read(), { name, onWarning });
    const decoded = performance.now();
    const values = model.preprocess(image);
    const preprocessed = performance.now();
    const predictions = await model.classify(values, { topK });
    const timings = {
      decodeMs: decoded - start,
      preprocessMs: preprocessed - decoded,
      inferenceMs: performance.now() - preprocessed,
    };
    return { input: name, predictions, timings };
  } catch (error) {
    if (isPermissionError(error)) throw error;
    const line = lineOf(error);
    return { input: name, error: line.startsWith(`${name}: `) ? line : `${name}: ${line}` };
  }
}

/** Prints a result at once, unless it is to be part of a document. */
function report(result: Result, { format, verbose }: Options): void {
  if (format === "jsonl") print(JSON.stringify(result));
  if ("error" in result) return complain(result.error);
  if (format === "text") print(resultText(result));
  if (verbose) note(timingsText(result));
}
