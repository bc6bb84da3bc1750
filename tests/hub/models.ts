/** Weights to pull: alexnet-tiny's, as if somebody had published them. */

import { createHash } from "node:crypto";
import { bundledWeights } from "../../src/models/bundled.ts";
import { readDescription } from "../../src/models/description.ts";
import { convertWeights } from "../../src/weights/convert.ts";
import { fileSource, openWeights } from "../../src/weights/mod.ts";
import type { CatalogueEntry } from "../../src/hub/catalogue.ts";

/** A published file of 13 MB, and its entry in a catalogue. */
export async function published(): Promise<{
  readonly bytes: Uint8Array<ArrayBuffer>;
  entry(url: string, changes?: Partial<CatalogueEntry>): CatalogueEntry;
}> {
  using file = await openWeights(await fileSource(bundledWeights()));
  const bytes = new Uint8Array(1 << 24);
  const sink = { write: (offset: number, piece: Uint8Array) => bytes.set(piece, offset) };
  const size = await convertWeights(file, sink, { precision: "f32", metadata: {} });
  const { classes, preprocessing } = readDescription(file)!;
  const whole = bytes.slice(0, size);
  return {
    bytes: whole,
    entry: (url, changes) => ({
      name: "tiny",
      architecture: "alexnet-tiny",
      title: "alexnet-tiny",
      url,
      bytes: whole.length,
      sha256: sha256(whole),
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
