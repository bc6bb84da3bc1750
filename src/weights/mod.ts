/**
 * Reads and writes files of weights: PyTorch `.pth`, safetensors and ONNX. Files are read in
 * chunks, and nothing in them is executed.
 *
 * @module
 */

export { checkWeights } from "./check.ts";
export { fileSource } from "./io/file_source.ts";
export type { TensorToWrite } from "./io/file_writer.ts";
export { blobSource, type ByteSource, bytesSource } from "./io/source.ts";
export { streamSource } from "./io/stream_source.ts";
export { writeOnnx } from "./onnx/writer.ts";
export { openWeights } from "./open.ts";
export { writePth } from "./pth/writer.ts";
export { writeSafetensors } from "./safetensors/writer.ts";
export type { WeightsFile } from "./tensor_file.ts";
