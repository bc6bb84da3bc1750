/** What the fuzzers of weights share: the check of a file, and mutations. */

import { PembrokeError } from "../../src/errors.ts";
import { onnxNetwork } from "../../src/models/onnx/convert.ts";
import { bytesSource, openWeights } from "../../src/weights/mod.ts";
import { OnnxFile } from "../../src/weights/onnx/reader.ts";
import { assert } from "../assert.ts";
import { chunkedSource } from "../weights/helpers.ts";
import { measure } from "../weights/measure.ts";
import type { FuzzRandom } from "./random.ts";

/** Whether nothing else runs in the process, as in `deno task fuzz`, so that memory is exact. */
const isAlone = Deno.mainModule.endsWith("/tools/fuzz.ts");

/** Milliseconds for every 10 MB, and bytes. Tests that run at the same time take their share. */
const maxMs = isAlone ? 1000 : 5000, maxBytes = (isAlone ? 64 : 512) * 2 ** 20;

/**
 * Opens a file, from memory or a stream, and reads all of its tensors. Asserts values or a
 * PembrokeError of one line, within the limits of time and memory.
 */
export async function checkWeightsFile(bytes: Uint8Array, random: FuzzRandom): Promise<void> {
  const chunk = random.pick([0, 1 + random.below(100), 65536]);
  let elements = 0;
  const cost = await measure(async () => {
    const attempt = async (run: () => Promise<void>) => {
      try {
        await run();
      } catch (error) {
        if (!(error instanceof PembrokeError)) throw error;
        // deno-lint-ignore no-control-regex -- control characters must not be there
        assert(!/[\x00-\x1f\x7f]/.test(error.message) && error.message.length < 600, error.message);
      }
    };
    await attempt(async () => {
      const size = random.chance(0.5) ? bytes.length : undefined;
      using file = await openWeights(
        chunk && bytes.length < 1e6
          ? await chunkedSource(bytes, { chunk, size })
          : bytesSource(bytes, "x"),
      );
      for (const name of file.order) {
        await attempt(() =>
          file.read(name, (values, offset) => {
            elements += values.length;
            assert(Number.isSafeInteger(offset + values.length), "no offset");
          })
        );
      }
      if (file instanceof OnnxFile) await onnxNetwork(file);
    });
  });
  // Every 100 MB of values may take another second.
  const allowed = maxMs * Math.max(1, bytes.length / 10e6 + elements / 25e6);
  assert(cost.milliseconds < allowed, `took ${cost.milliseconds} ms for ${bytes.length} bytes`);
  assert(cost.bytes < maxBytes, `took ${cost.bytes} bytes of memory for ${bytes.length} bytes`);
}

/** Repeats bytes, rarely so often that a reader must refuse them. */
export function amplify(code: Uint8Array, random: FuzzRandom): Uint8Array<ArrayBuffer> {
  const count = random.chance(0.02) ? 1000 * (1 + random.below(300)) : 1 + random.below(5);
  const times = Math.min(count, Math.ceil(4e6 / Math.max(code.length, 1)));
  const repeated = new Uint8Array(times * code.length);
  for (let at = 0; at < repeated.length; at += code.length) repeated.set(code, at);
  return repeated;
}

/** Sometimes changes a few bytes, or cuts the file off. */
export function damage(file: Uint8Array, random: FuzzRandom): Uint8Array {
  if (random.chance(0.6)) return file;
  const bytes = file.slice();
  for (let i = random.below(4); i >= 0 && bytes.length > 0; i--) {
    const at = random.below(bytes.length);
    if (random.chance(0.5)) bytes[at] = random.edgy(8);
    else bytes[at] ^= 1 << random.below(8);
  }
  return random.chance(0.2) ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
}
