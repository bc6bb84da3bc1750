/**
 * How weights can be stored. Apart from the code that writes them, so that the command starts fast.
 *
 * @module
 */

import type { WeightsFormat } from "./tensor_file.ts";

/**
 * The key of the checksum in a file's metadata. Other files have other bytes, so it is never copied to
 * them.
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
