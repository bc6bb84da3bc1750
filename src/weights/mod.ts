/**
 * Weights from files: PyTorch `.pth`, safetensors and ONNX, read a piece at a time and never executed.
 *
 * @module
 */

export { checkWeights } from "./check.ts";
export type { DType } from "./dtype.ts";
export { fileSource } from "./file_source.ts";
export type { TensorToWrite } from "./file_writer.ts";
export type { WeightEntry } from "./layout.ts";
export { writeOnnx } from "./onnx_writer.ts";
export { openWeights } from "./open.ts";
export { writePth } from "./pth_writer.ts";
export { writeSafetensors } from "./safetensors_writer.ts";
export { blobSource, type ByteSource, bytesSource } from "./source.ts";
export type { Chunks } from "../download.ts";
export { streamSource } from "./stream_source.ts";
export type { WeightsFile, WeightsFormat, WeightSink } from "./tensor_file.ts";
