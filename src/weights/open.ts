/**
 * Opens a file of weights in any supported format.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { RelatedFiles } from "./io/related_files.ts";
import { type ByteSource, isSource, readStart } from "./io/source.ts";
import type { TensorFile, WeightsFile } from "./tensor_file.ts";
import { escapeText } from "./io/quote.ts";

/**
 * Options of {@linkcode openWeights}.
 */
export interface OpenOptions {
  /**
   * The other files of weights that consist of several, by name: the shards of an index, or the
   * external data of an ONNX model. By default they are read from the folder of the file on disk.
   * They are closed together with the weights.
   */
  readonly files?: Readonly<Record<string, ByteSource>>;
}

/**
 * Opens weights: a PyTorch state dict (`.pth`, zip or legacy format), a safetensors file, the
 * tensors of an ONNX model, or the compressed weights of SqueezeNet or AlexNet (`.net`). The format
 * is detected from the bytes, not from the name. Only the description of the tensors is read;
 * `read()` then reads the elements in chunks. Nothing in the file is executed.
 *
 * The index of sharded weights (`model.safetensors.index.json`) and an ONNX model with external
 * data need other files: from their own folder on disk, or from `files`.
 *
 * @param source The file, such as `await fileSource("model.pth")`. It is closed together with the
 * weights, or at once if opening fails.
 * @throws {FileError} When the file has another format, is damaged, or contains more than weights.
 * @throws {ArgumentError} When `source` is not a source.
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
export async function openWeights(
  source: ByteSource,
  { files: passed }: OpenOptions = {},
): Promise<WeightsFile> {
  if (!isSource(source)) {
    const expected = "a ByteSource, such as that of fileSource() or bytesSource()";
    throw new ArgumentError("openWeights", "source", source, expected);
  }
  const files = new RelatedFiles(source, passed);
  try {
    if (isIndex(await readStart(source))) {
      const { openIndex } = await import("./safetensors/index_file.ts");
      return await openIndex(source, files, (shard) => openFile(shard, files));
    }
    const file = await openFile(source, files);
    if (file.format !== "onnx") files.close(); // only ONNX refers to others
    file.shortenNames();
    return file;
  } catch (error) {
    source.close();
    files.close();
    throw error;
  }
}

/** Opens one file: weights that are not split, or a shard. */
async function openFile(source: ByteSource, files: RelatedFiles): Promise<TensorFile> {
  const open = await detectFormat(await readStart(source), source);
  return await open(source, files);
}

/** Whether a file starts like the index of sharded weights. */
function isIndex(start: Uint8Array): boolean {
  return start.length > 0 && /^\s*\{\s*"(?:metadata|weight_map)"\s*:/.test(latin1.decode(start));
}

const latin1 = new TextDecoder("latin1");

/** Opens a file of one format. */
type OpenFormat = (source: ByteSource, files: RelatedFiles) => Promise<TensorFile>;

/**
 * Detects a file's format from its first bytes. Formats are imported when they are needed, for a
 * fast start.
 */
async function detectFormat(
  start: Uint8Array,
  { name: file, size }: ByteSource,
): Promise<OpenFormat> {
  if (start.length === 0) throw new FileError(file, "is empty");
  const hasShortHeader = start.subarray(4, 8).every((byte) => byte === 0); // if it is safetensors
  if (!hasShortHeader) { // compressed weights begin with counts, none of which is 0
    const { recognizeCompressed } = await import("./deep_compression/networks.ts");
    if (recognizeCompressed(start, size)) {
      const { openDeepCompression } = await import("./deep_compression/reader.ts");
      return openDeepCompression;
    }
  }
  const isArchive = start[0] === 0x50 && start[1] === 0x4b && start[2] < 9; // "PK", a record type
  const isPth = isArchive || start[0] === 0x80 && start[1] >= 2 && start[1] <= 5; // PROTO
  // The first field of ModelProto, ir_version, and the key of a field that may follow.
  const isOnnx = start[0] === 0x08 && start[1] < 0x20 && onnxKeys.includes(start[2]);
  // Safetensors begins with the length of its header in eight bytes, then a brace. Every valid length
  // has a zero byte, and text has none. A length may begin like the other formats, but these have no
  // four zeros before a brace.
  const isLength = start.subarray(0, 8).includes(0);
  if (start[8] === 0x7b && isLength && (hasShortHeader || !isOnnx && !isPth)) {
    const { openSafetensors } = await import("./safetensors/reader.ts");
    return openSafetensors;
  }
  if (isPth) {
    const { openPth } = await import("./pth/reader.ts");
    return (source) => openPth(source, isArchive);
  }
  if (isOnnx) {
    const { openOnnx } = await import("./onnx/reader.ts");
    return openOnnx;
  }

  const line = firstLine(start);
  throw new FileError(
    file,
    line === undefined
      ? "is not a PyTorch .pth, safetensors or ONNX file"
      : `is text, not weights (it starts with “${line}”)`,
  );
}

/** producer_name, producer_version, domain, model_version, doc_string, graph, opset_import */
const onnxKeys = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];

/** The first line of a text, at most 48 characters of it; undefined if the bytes are not text. */
function firstLine(start: Uint8Array): string | undefined {
  if (start.some((byte) => byte < 32 && byte !== 9 && byte !== 10 && byte !== 13)) return undefined;
  const line = new TextDecoder().decode(start).trim().split(/\r?\n/, 1)[0];
  return line.includes("\ufffd") ? undefined : escapeText(line.slice(0, 48));
}
