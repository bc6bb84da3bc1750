/** Weights to pull in tests: those of a small network, with a catalogue entry. */

import { createHash } from "node:crypto";
import { createBackend } from "../../src/backend/mod.ts";
import type { CatalogueEntry } from "../../src/hub/catalogue.ts";
import { createModel, saveModel } from "../../src/models/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { convertWeights } from "../../src/weights/convert.ts";
import { bytesSource, openWeights } from "../../src/weights/mod.ts";

const architecture = "squeezenet1_1";
const classes = Array.from({ length: 20 }, (_, i) => ({ wnid: `n${i}`, label: `class ${i}` }));

/** A file of 3 MB, a function that creates its catalogue entry, and the model as a file. */
export async function testWeights(): Promise<{
  readonly model: Uint8Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  entry(url: string, changes?: Partial<CatalogueEntry>): CatalogueEntry;
}> {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel(architecture, { classes }).init(backend, { seed: 1 });
  const last = model.leaves().findLast(([, { parameters }]) => parameters.weight)![1];
  // clear differences between classes
  const spread = (values: Float32Array) => values.forEach((_, i) => values[i] = Math.sin(i));
  last.parameters.weight!.init(backend, new RandomGenerator(0), spread);
  const { preprocessing } = model, saved = await saveModel(model);
  using file = await openWeights(bytesSource(saved, "saved"));
  const buffer = new Uint8Array(saved.length);
  const sink = { write: (offset: number, chunk: Uint8Array) => buffer.set(chunk, offset) };
  const size = await convertWeights(file, sink, { precision: "f32", metadata: {} });
  const bytes = buffer.slice(0, size);
  return {
    model: saved,
    bytes,
    entry: (url, changes) => ({
      name: "tiny",
      architecture,
      title: "tiny",
      accuracy: 50,
      url,
      bytes: size,
      sha256: sha256(bytes),
      terms: "free",
      classes,
      preprocessing,
      ...changes,
    }),
  };
}

/** SHA-256 in hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Whether two files have the same bytes. A loop, because `every()` takes ten times as long. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return i === a.length && i === b.length;
}
