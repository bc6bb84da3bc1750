/**
 * The fuzzers of this repository. `deno task fuzz` runs them for as long as you like, and tests run
 * each for a moment.
 */

import { FuzzRandom } from "./random.ts";

/** Makes one input, feeds it to a reader, and throws if the reader breaks its promises. */
export type Fuzzer = (random: FuzzRandom) => Promise<void>;

/** Where a fuzzer comes from, so that only those that run are loaded. */
const files = {
  png: () => import("./png.ts"),
  gif: () => import("./gif.ts"),
  bmp: () => import("./bmp.ts"),
  jpeg: () => import("./jpeg.ts"),
  webp: () => import("./webp.ts"),
  http: () => import("./http.ts"),
  pickle: () => import("./pickle.ts"),
  zip: () => import("./zip.ts"),
  onnx: () => import("./onnx.ts"),
  graph: () => import("./graph.ts"),
  safetensors: () => import("./safetensors.ts"),
  deep_compression: () => import("./deep_compression.ts"),
} satisfies Record<string, () => Promise<{ default: Fuzzer }>>;

/** The name of a fuzzer. */
export type FuzzerName = keyof typeof files;

/** The names of all fuzzers. */
export const fuzzerNames = Object.keys(files) as FuzzerName[];

/** What a fuzzer did. */
export interface FuzzReport {
  readonly inputs: number;
  /** The seed of the input that failed, and the error. */
  readonly failure?: { readonly seed: number; readonly error: unknown };
}

/**
 * Runs a fuzzer with one seed after another, until the time is up or an input fails.
 *
 * @param seed The first seed.
 */
export async function fuzz(name: FuzzerName, seconds: number, seed: number): Promise<FuzzReport> {
  const { default: fuzzer } = await files[name]();
  const end = performance.now() + seconds * 1000;
  let inputs = 0;
  do {
    try {
      await fuzzer(new FuzzRandom(seed + inputs));
    } catch (error) {
      return { inputs, failure: { seed: seed + inputs, error } };
    }
    inputs++;
  } while (performance.now() < end);
  return { inputs };
}
