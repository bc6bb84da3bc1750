/** Identifies the weights of a model. */

import { digestOf } from "../hub/digest.ts";
import { fileSource } from "../weights/io/file_source.ts";
import { openWeights } from "../weights/open.ts";
import { type Digest, sha256 } from "./feature_cache.ts";
import { isWebUrl, pathOf } from "./inputs.ts";
import type { SelectedModel } from "./model.ts";

/**
 * The SHA-256 of a file of weights. Of several files, that of their SHA-256s one after the other: an
 * index holds no weights. Of weights from elsewhere, that of all parameters in float32, in the order
 * of their names.
 */
export async function weightsDigest(
  { model, place }: Pick<SelectedModel, "model" | "place">,
): Promise<Digest> {
  const isLocal = place !== undefined &&
    (place instanceof URL ? place.protocol === "file:" : !isWebUrl(place));
  if (isLocal) {
    const digests: Digest[] = [];
    for (const path of await filesOf(place)) {
      using file = await Deno.open(path);
      digests.push(await digestOf(file, "sha256"));
    }
    return digests.length === 1 ? digests[0] : sha256(...digests);
  }
  const parts: Uint8Array[] = [];
  const parameters = [...model.stateDict()].sort(([a], [b]) => a < b ? -1 : 1);
  for (const [, { tensor }] of parameters) {
    const values = await tensor!.read();
    parts.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return sha256(...parts);
}

/** A file, and those that it refers to: the shards of an index, or the data of an ONNX model. */
async function filesOf(place: string | URL): Promise<(string | URL)[]> {
  const source = await fileSource(place), files = [place];
  const sibling = async (name: string) => {
    const other = await source.sibling!(name);
    files.push(pathOf(other.name));
    return other;
  };
  (await openWeights({ ...source, sibling })).close();
  return files;
}
