/** `cli.ts classify`: the most probable classes of each image. */

import { type Backend, createBackend } from "../backend.ts";
import { PembrokeError } from "../errors.ts";
import { decodeImage } from "../image/mod.ts";
import { AlexNet } from "../models/mod.ts";
import type { Options } from "./args.ts";
import { isPermissionError, lineOf } from "./errors.ts";
import { expand, type Input } from "./inputs.ts";
import { type Result, resultText, timingsText } from "./output.ts";
import { Progress } from "./progress.ts";
import { complain, note, print, warn } from "./terminal.ts";

/** Classifies every input, prints what came of each, and returns the exit code. */
export async function classify(options: Options): Promise<number> {
  using backend = await createBackend({ device: options.backend });
  const start = performance.now();
  const { model, weights } = await prepare(options, backend);
  const took = options.verbose ? `, ready after ${(performance.now() - start).toFixed(1)} ms` : "";
  const threads = `${backend.threads} thread${backend.threads === 1 ? "" : "s"}`;
  if (!options.quiet) note(`${model.type}, ${weights}, ${backend.name}, ${threads}${took}`);

  const results: Result[] = [];
  const report = (result: Result) => {
    if (options.format === "json") results.push(result);
    if (options.format === "jsonl") print(JSON.stringify(result));
    if ("error" in result) return complain(result.error);
    if (options.format === "text") print(resultText(result.input, result.predictions));
    if (options.verbose) note(timingsText(result.timings));
  };

  let failed = 0;
  const fail = (input: string, error: unknown) => {
    if (isPermissionError(error) || !(error instanceof PembrokeError)) throw error;
    failed++;
    report({ input, error: lineOf(error) });
  };

  const inputs: Input[] = [];
  for (const argument of options.inputs) {
    try {
      inputs.push(...await expand(argument));
    } catch (error) {
      fail(argument, error);
    }
  }

  const progress = new Progress("classifying", !options.quiet && !Deno.stdout.isTerminal());
  for (const [i, input] of inputs.entries()) {
    progress.update(i, inputs.length, "images");
    try {
      report(await classifyOne(input, model, options));
    } catch (error) {
      progress.clear();
      fail(input.name, error);
    }
  }
  progress.clear();

  if (options.format === "json") {
    const { name, threads } = backend;
    const document = { model: options.model, weights, backend: name, threads, results };
    print(JSON.stringify(document, null, 2));
  }
  return failed > 0 ? 1 : 0;
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
    return { model: await AlexNet.load(backend, weights, { onProgress }), weights };
  } finally {
    progress.clear();
  }
}

async function classifyOne(input: Input, model: AlexNet, options: Options): Promise<Result> {
  const start = performance.now();
  const image = await decodeImage(await input.read(), {
    name: input.name,
    onWarning: warn,
  });
  const decoded = performance.now();
  const values = model.preprocess(image);
  const preprocessed = performance.now();
  const predictions = await model.classify(values, { topK: options.topK });
  const timings = {
    decodeMs: decoded - start,
    preprocessMs: preprocessed - decoded,
    inferenceMs: performance.now() - preprocessed,
  };
  return { input: input.name, predictions, timings };
}
