/** From inputs to what came of them: read and decoded ahead, classified in batches, in their order. */

import { ThreadStartError } from "../image/threads/thread.ts";
import type { PreparedImage } from "../image/prepare.ts";
import { release } from "../image/release.ts";
import type { Prediction } from "../models/mod.ts";
import { ahead, batches } from "./ahead.ts";
import { isPermissionError, lineOf } from "./errors.ts";
import type { Input } from "./inputs.ts";
import type { Result } from "./output.ts";

/** What came of an image, and damage that did not prevent it, a line each. */
export interface Outcome {
  readonly result: Result;
  readonly warnings: readonly string[];
}

/** What the steps are, and how many images are in each of them. */
export interface Stages {
  readonly decode: (bytes: Uint8Array<ArrayBuffer>, name: string) => Promise<PreparedImage>;
  /** Images that are read and decoded at a time, or wait to be classified. */
  readonly most: number;
  /** What classifying waits for; its failure is that of the command, not of an image. */
  readonly prepare: () => Promise<void>;
  readonly classify: (images: readonly Float32Array[]) => Promise<readonly Prediction[][]>;
  /** Images that are classified at a time. */
  readonly batchSize: number;
}

/** Milliseconds after which what comes slowly is classified in a smaller batch. */
const patience = 200;

/** What came of each input. Only a missing permission is thrown, and that threads do not start. */
export async function* outcomes(
  inputs: AsyncIterator<Input>,
  { decode, most, prepare, classify, batchSize }: Stages,
): AsyncGenerator<Outcome> {
  const images = ahead(inputs, most, (input) => read(input, decode));
  for await (const batch of batches(images, batchSize, patience)) {
    const readable = batch.filter((image) => "values" in image);
    let results: Iterator<Result> | undefined;
    for (const image of batch) {
      // what cannot be read does not wait for the others
      if (!("values" in image)) yield { result: image, warnings: [] };
      else {
        await prepare();
        results ??= (await infer(readable, classify)).values();
        yield { result: results.next().value!, warnings: image.warnings };
      }
    }
  }
}

/** An image that waits for inference. */
interface Ready extends PreparedImage {
  readonly name: string;
}

async function read({ name, read }: Input, decode: Stages["decode"]): Promise<Ready | Result> {
  try {
    const start = performance.now();
    const bytes = await read();
    const readMs = performance.now() - start;
    const decoded = await decode(bytes, name);
    return { ...decoded, name, decodeMs: readMs + decoded.decodeMs };
  } catch (error) {
    return failed(name, error);
  }
}

async function infer(
  images: readonly Ready[],
  classify: Stages["classify"],
): Promise<Result[]> {
  try {
    const start = performance.now();
    const classes = await classify(images.map(({ values }) => values));
    const inferenceMs = (performance.now() - start) / images.length;
    return images.map(({ name, decodeMs, preprocessMs, values }, i) => {
      release(values);
      const timings = { decodeMs, preprocessMs, inferenceMs };
      return { input: name, predictions: classes[i], timings };
    });
  } catch (error) {
    return images.map(({ name }) => failed(name, error));
  }
}

/** What went wrong with an image, with its name in front. */
function failed(name: string, error: unknown): Result {
  if (isPermissionError(error) || error instanceof ThreadStartError) throw error;
  const line = lineOf(error);
  return { input: name, error: line.startsWith(`${name}: `) ? line : `${name}: ${line}` };
}
