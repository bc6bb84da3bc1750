/** Reads and decodes images ahead, and classifies them in batches, in their order. */

import { ThreadStartError } from "../image/threads/thread.ts";
import type { PreparedImage } from "../image/prepare.ts";
import { release } from "../image/release.ts";
import type { Prediction } from "../models/mod.ts";
import { batches, mapConcurrently } from "./async_iterators.ts";
import { isPermissionError, lineOf } from "./errors.ts";
import type { Input } from "./inputs.ts";
import type { Result } from "./output.ts";

/** The result of an image, and warnings about damage that did not prevent it. */
export interface Outcome {
  readonly result: Result;
  readonly warnings: readonly string[];
}

/** The stages of the pipeline, and their sizes. */
export interface Stages {
  readonly decode: (bytes: Uint8Array<ArrayBuffer>, name: string) => Promise<PreparedImage>;
  /** Maximum number of images that are being decoded, or wait for inference. */
  readonly readAhead: number;
  /** Called before inference. If it fails, the command fails, not the image. */
  readonly prepare: () => Promise<void>;
  readonly classify: (images: readonly Float32Array[]) => Promise<readonly Prediction[][]>;
  /** Images per forward pass. */
  readonly batchSize: number;
}

/** How long a batch waits for more images. */
const batchDelayMs = 200;

/** The outcome of each input. Throws only for missing permissions and threads that cannot start. */
export async function* outcomes(
  inputs: AsyncIterator<Input>,
  { decode, readAhead, prepare, classify, batchSize }: Stages,
): AsyncGenerator<Outcome> {
  const images = mapConcurrently(inputs, readAhead, (input) => read(input, decode));
  for await (const batch of batches(images, batchSize, batchDelayMs)) {
    const decoded = batch.filter((image) => "values" in image);
    let results: Iterator<Result> | undefined;
    for (const image of batch) {
      // an image that failed does not wait for the others
      if (!("values" in image)) yield { result: image, warnings: [] };
      else {
        await prepare();
        results ??= (await infer(decoded, classify)).values();
        yield { result: results.next().value!, warnings: image.warnings };
      }
    }
  }
}

/** A decoded image with its name. */
interface DecodedInput extends PreparedImage {
  readonly name: string;
}

async function read(
  { name, read }: Input,
  decode: Stages["decode"],
): Promise<DecodedInput | Result> {
  try {
    const start = performance.now();
    const bytes = await read();
    const readMs = performance.now() - start;
    const decoded = await decode(bytes, name);
    return { ...decoded, name, decodeMs: readMs + decoded.decodeMs };
  } catch (error) {
    return errorResult(name, error);
  }
}

async function infer(
  images: readonly DecodedInput[],
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
    return images.map(({ name }) => errorResult(name, error));
  }
}

/** The error of an image as its result; the message starts with the image's name. */
function errorResult(name: string, error: unknown): Result {
  if (isPermissionError(error) || error instanceof ThreadStartError) throw error;
  const line = lineOf(error);
  return { input: name, error: line.startsWith(`${name}: `) ? line : `${name}: ${line}` };
}
