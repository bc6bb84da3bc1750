/** Weights to pull in tests: those of the bundled network, with a catalogue entry. */

import { createHash } from "node:crypto";
import { bundledNetwork, bundledWeights } from "../../src/models/bundled.ts";
import { readDescription } from "../../src/models/description.ts";
import { convertWeights } from "../../src/weights/convert.ts";
import { fileSource, openWeights } from "../../src/weights/mod.ts";
import type { CatalogueEntry } from "../../src/hub/catalogue.ts";

/** A file of 13 MB, and a function that creates its catalogue entry. */
export async function testWeights(): Promise<{
  readonly bytes: Uint8Array<ArrayBuffer>;
  entry(url: string, changes?: Partial<CatalogueEntry>): CatalogueEntry;
}> {
  using file = await openWeights(await fileSource(bundledWeights()));
  const bytes = new Uint8Array(1 << 24);
  const sink = { write: (offset: number, chunk: Uint8Array) => bytes.set(chunk, offset) };
  const size = await convertWeights(file, sink, { precision: "f32", metadata: {} });
  const { classes, preprocessing } = readDescription(file)!;
  const fileBytes = bytes.slice(0, size);
  return {
    bytes: fileBytes,
    entry: (url, changes) => ({
      name: "tiny",
      architecture: bundledNetwork,
      title: "tiny",
      accuracy: 50,
      url,
      bytes: fileBytes.length,
      sha256: sha256(fileBytes),
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
