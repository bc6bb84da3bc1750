/** Files of weights, random damage, and a check that reading ends in values or a PembrokeError. */

import { PembrokeError } from "../../src/errors.ts";
import { type ByteSource, openWeights, writePth, writeSafetensors } from "../../src/weights/mod.ts";
import type { FuzzRandom } from "../fuzz/random.ts";
import { legacy, pth, py, stateOf, tensor } from "./helpers.ts";

/** Damages a copy of a file at a random place. */
export function damage(file: Uint8Array, random: FuzzRandom): Uint8Array {
  const bytes = file.slice(), at = random.below(bytes.length);
  switch (random.below(6)) {
    case 0: // flip one bit
      bytes[at] ^= 1 << random.below(8);
      return bytes;
    case 1: // change one byte
      bytes[at] = random.below(256);
      return bytes;
    case 2: // maximise a number
      return bytes.fill(0xff, at, at + 1 + random.below(8));
    case 3: // truncate
      return bytes.subarray(0, at);
    case 4: // drop a byte
      bytes.copyWithin(at, at + 1);
      return bytes.subarray(0, -1);
    default: // copy a part to another place
      bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
      return bytes;
  }
}

/**
 * Reads all tensors of a file.
 *
 * @param maxBytes The limit of a single read.
 * @throws When reading fails with anything but a PembrokeError with a message of one short line.
 */
export async function readEverything(inner: ByteSource, maxBytes: number): Promise<void> {
  const source: ByteSource = {
    name: inner.name,
    get size() {
      return inner.size;
    },
    forward: inner.forward,
    read(offset, into) {
      if (into.length > maxBytes) throw new Error(`a read of ${into.length} bytes`);
      return inner.read(offset, into);
    },
    close: () => inner.close(),
  };
  try {
    using file = await openWeights(source);
    for (const name of file.order) {
      try {
        await file.read(name, () => {});
      } catch (error) {
        if (!(error instanceof PembrokeError)) throw error;
      }
    }
  } catch (error) {
    if (!(error instanceof PembrokeError)) throw error;
    // deno-lint-ignore no-control-regex -- control characters must not be there
    if (/[\x00-\x1f\x7f]/.test(error.message) || error.message.length > 400) {
      throw new Error(`not one short line: ${JSON.stringify(error.message)}`);
    }
  }
}

const data = new Float32Array(6);
export const smallFiles: Record<string, Uint8Array> = {
  "small.safetensors": writeSafetensors([
    { name: "a", dtype: "F32", shape: [2, 3], data },
    { name: "b", dtype: "F16", shape: [6], data },
    { name: "c", dtype: "BF16", shape: [3, 2], data },
    { name: "d", dtype: "I8", shape: [2, 3], data: data.map((_, i) => i - 2) },
  ], { format: "pt" }),
  "layers.onnx": await Deno.readFile(new URL("../fixtures/onnx/layers.onnx", import.meta.url)),
  "written.pth": writePth([
    { name: "a", dtype: "F32", shape: [2, 3], data },
    { name: "b", dtype: "F16", shape: [6], data },
  ]),
  "small.pth": pth(stateOf(tensor())),
  "small_legacy.pth": legacy(py.dict([py.text("state_dict"), stateOf(tensor())])),
};
export const fixtures = [
  "kinds",
  "model",
  "protocol4",
  "checkpoint",
  "wrapped_model",
  "whole_net",
  "evil_system",
  "tensor",
].flatMap((name) => [`${name}.pth`, `${name}_legacy.pth`]);
