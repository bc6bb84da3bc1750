/**
 * Opening a file of weights, whatever its format.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { openOnnx } from "./onnx/reader.ts";
import { openPth } from "./pth/zip_format.ts";
import { openPthStream } from "./pth/stream.ts";
import { openLegacyPth } from "./pth/legacy_format.ts";
import { openSafetensors } from "./safetensors/reader.ts";
import { type ByteSource, isSource, readBytes } from "./io/source.ts";
import type { WeightsFile } from "./tensor_file.ts";
import { shown } from "./io/quote.ts";

/**
 * Opens weights: a PyTorch state dict (`.pth`, in both of its formats), safetensors, or the tensors
 * of an ONNX model. The format is found from the bytes, never from the name. Only what describes the
 * tensors is read now, their elements when `read()` asks for them, a piece at a time. Nothing in the
 * file is executed.
 *
 * @param source The file. From now on it belongs to the weights: closing those closes it, and so does
 * failing here.
 * @throws {FileError} When it is something else, is damaged, or holds more than weights.
 * @throws {ArgumentError} When it is no source.
 *
 * @example
 * ```ts
 * import { bytesSource, openWeights, writeSafetensors } from "./mod.ts";
 *
 * const bytes = writeSafetensors([
 *   { name: "0.bias", dtype: "F32", shape: [3], data: new Float32Array([1, 2, 3]) },
 * ]);
 * using file = await openWeights(bytesSource(bytes, "tiny.safetensors"));
 * for (const { name, dtype, shape } of file.entries.values()) {
 *   console.log(name, dtype, shape); // 0.bias F32 [ 3 ]
 *   const all = new Float32Array(3);
 *   await file.read(name, (values, offset) => all.set(values, offset));
 * }
 * ```
 */
export async function openWeights(source: ByteSource): Promise<WeightsFile> {
  if (!isSource(source)) {
    const takes = "a ByteSource, as bytesSource, blobSource, fileSource and streamSource make";
    throw new ArgumentError("openWeights", "source", source, takes);
  }
  try {
    const start = await readBytes(source, 0, Math.min(source.size, 512));
    return await detect(start, source)(source);
  } catch (error) {
    source.close();
    throw error;
  }
}

function detect(
  start: Uint8Array,
  { name: file, forward }: ByteSource,
): (source: ByteSource) => Promise<WeightsFile> {
  if (start.length === 0) throw new FileError(file, "is empty");
  if (start[0] === 0x50 && start[1] === 0x4b && start[2] < 9) { // "PK" and a record
    return forward ? openPthStream : openPth;
  }
  if (start[0] === 0x80 && start[1] >= 2 && start[1] <= 5) return openLegacyPth; // PROTO
  // Eight bytes of length: text has no zeros there, and no header is long enough to do without.
  if (start[8] === 0x7b && start.subarray(0, 8).includes(0)) return openSafetensors;

  // ModelProto's first field, ir_version, and the key of another that may follow.
  if (start[0] === 0x08 && start[1] < 0x20 && onnxKeys.includes(start[2])) return openOnnx;

  const line = firstLine(start);
  throw new FileError(
    file,
    line === undefined
      ? "is neither a PyTorch .pth file nor safetensors nor ONNX"
      : `is text, not weights (it begins with “${line}”)`,
  );
}

/** producer_name, producer_version, domain, model_version, doc_string, graph, opset_import */
const onnxKeys = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];

/** What the first line of a text says, shortened; undefined when the bytes are no text. */
function firstLine(start: Uint8Array): string | undefined {
  if (start.some((byte) => byte < 32 && byte !== 9 && byte !== 10 && byte !== 13)) return undefined;
  const line = new TextDecoder().decode(start).trim().split(/\r?\n/, 1)[0];
  return line.includes("\ufffd") ? undefined : shown(line.slice(0, 48));
}
