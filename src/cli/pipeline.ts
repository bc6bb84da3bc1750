/** Reads and decodes images ahead, and runs a network on them in batches, in their order. */

import { ThreadStartError } from "../image/threads/thread.ts";
import type { PreparedImage } from "../image/prepare.ts";
import { release } from "../image/release.ts";
import { batches, mapConcurrently } from "./async_iterators.ts";
import { errorLine, isPermissionError } from "./errors.ts";
import type { Input } from "./inputs.ts";
import type { Timings } from "./output.ts";

/** The network's output for an image, or what is wrong with the image. */
export type Outcome<I extends Input, T> = Success<I, T> | Failure<I>;

/** The network's output for an image. */
interface Success<I, T> {
  readonly input: I;
  readonly output: T;
  readonly timings: Timings;
  /** Damage that did not prevent decoding. */
  readonly warnings: readonly string[];
}

/** What is wrong with an image, in a line that starts with its name. */
interface Failure<I> {
  readonly input: I;
  readonly error: string;
}

/** The stages of the pipeline, and their sizes. */
export interface Stages<T> {
  readonly decode: (bytes: Uint8Array<ArrayBuffer>, name: string) => Promise<PreparedImage>;
  /** Maximum number of images that are being decoded, or wait for inference. */
  readonly readAhead: number;
  /** Called before inference. If it fails, the command fails, not the image. */
  readonly prepare: () => Promise<void>;
  /** Runs the network on a batch. */
  readonly run: (images: readonly Float32Array[]) => Promise<readonly T[]>;
  /** Images per forward pass. */
  readonly batchSize: number;
}

/** How long a batch waits for more images. */
const batchDelayMs = 200;

/** Yields the outcome of each input. Throws only for missing permissions and threads that cannot start. */
export async function* outcomes<I extends Input, T>(
  inputs: AsyncIterator<I>,
  { decode, readAhead, prepare, run, batchSize }: Stages<T>,
): AsyncGenerator<Outcome<I, T>> {
  const images = mapConcurrently(inputs, readAhead, (input) => read(input, decode));
  for await (const batch of batches(images, batchSize, batchDelayMs)) {
    const decoded = batch.filter((image) => "values" in image);
    let results: Iterator<Outcome<I, T>> | undefined;
    for (const image of batch) {
      // the error of an image does not wait for the inference of the others
      if (!("values" in image)) yield image;
      else {
        await prepare();
        results ??= (await infer(decoded, run)).values();
        yield results.next().value!;
      }
    }
  }
}

/** A decoded image with its input. */
interface DecodedInput<I> extends PreparedImage {
  readonly input: I;
}

async function read<I extends Input>(
  input: I,
  decode: Stages<unknown>["decode"],
): Promise<DecodedInput<I> | Failure<I>> {
  try {
    const start = performance.now();
    const bytes = await input.read();
    const readMs = performance.now() - start;
    const decoded = await decode(bytes, input.name);
    return { ...decoded, input, decodeMs: readMs + decoded.decodeMs };
  } catch (error) {
    return failure(input, error);
  }
}

async function infer<I extends Input, T>(
  images: readonly DecodedInput<I>[],
  run: Stages<T>["run"],
): Promise<Outcome<I, T>[]> {
  try {
    const start = performance.now();
    const outputs = await run(images.map(({ values }) => values));
    const inferenceMs = (performance.now() - start) / images.length;
    return images.map(({ input, warnings, decodeMs, preprocessMs, values }, i) => {
      release(values);
      const timings = { decodeMs, preprocessMs, inferenceMs };
      return { input, output: outputs[i], timings, warnings };
    });
  } catch (error) {
    return images.map(({ input }) => failure(input, error));
  }
}

/** The error of an image; the message starts with the image's name. */
export function failure<I extends Input>(input: I, error: unknown): Failure<I> {
  if (isPermissionError(error) || error instanceof ThreadStartError) throw error;
  const { name } = input, line = errorLine(error);
  return { input, error: line.startsWith(`${name}: `) ? line : `${name}: ${line}` };
}
