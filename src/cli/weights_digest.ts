/** Identifies the weights of a model. */

import { digestOf } from "../hub/digest.ts";
import { type Digest, sha256 } from "./feature_cache.ts";
import { isWebUrl } from "./inputs.ts";
import type { SelectedModel } from "./model.ts";

/**
 * The SHA-256 of a file of weights. Of those from elsewhere, that of all parameters in float32, in
 * the order of their names.
 */
export async function weightsDigest({ model, place }: SelectedModel): Promise<Digest> {
  const isLocal = place !== undefined &&
    (place instanceof URL ? place.protocol === "file:" : !isWebUrl(place));
  if (isLocal) {
    using file = await Deno.open(place);
    return await digestOf(file, "sha256");
  }
  const parts: Uint8Array[] = [];
  const parameters = [...model.stateDict()].sort(([a], [b]) => a < b ? -1 : 1);
  for (const [, { tensor }] of parameters) {
    const values = await tensor!.read();
    parts.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return sha256(...parts);
}
