/**
 * The formats and precisions that weights can be stored in. The code that writes them is elsewhere,
 * so that the command can check its arguments without loading it.
 *
 * @module
 */

import type { WeightsFormat } from "./tensor_file.ts";

/**
 * The key of a file's checksum in its metadata. It is the checksum of these very bytes, so it is
 * never copied to another file.
 */
export const checksumKey = "file_crc32";

/** The file formats that can be written. */
export type OutputFormat = Exclude<WeightsFormat, "pth-legacy" | "deep-compression">;

/**
 * The precision of weights in a file:
 *
 * - "f32": 32-bit floats.
 * - "f16": 16-bit floats.
 * - "int8": 8-bit integers with one scale per output channel or feature, in safetensors only.
 *
 * Tensors with fewer than two axes, such as biases, are always stored as "f32".
 */
export type StoredPrecision = "f32" | "f16" | "int8";

/** All values of {@linkcode StoredPrecision}. */
export const storedPrecisions: readonly StoredPrecision[] = ["f32", "f16", "int8"];

/** The type of the elements in each precision. */
export const storedTypes = { f32: "F32", f16: "F16", int8: "I8" } as const;
