/**
 * The interface of a file format, and the memory of codecs. `formats/mod.ts` lists all formats.
 *
 * @module
 */

import type { Orientation } from "../orient.ts";
import type { RgbaImage, RgbImage } from "../pixels.ts";

/** Width and height as stored in the file, before orientation is applied. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * A custom decoder. It takes the whole file and returns the pixels as stored: RGBA in 8 bits, without
 * applying EXIF orientation.
 *
 * @example The decoder of a page
 * ```ts ignore
 * const decoder: Decoder = async (bytes) => {
 *   const bitmap = await createImageBitmap(new Blob([bytes]), { imageOrientation: "none" });
 *   const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
 *   context.drawImage(bitmap, 0, 0);
 *   return context.getImageData(0, 0, bitmap.width, bitmap.height);
 * };
 * const image = await decodeImage(bytes, { codecs: { jpeg: decoder, webp: decoder } });
 * ```
 */
export type Decoder = (bytes: Uint8Array) => RgbaImage | Promise<RgbaImage>;

/** Whether this is a custom decoder rather than a compiled codec. */
export function isDecoder(codec: WebAssembly.Module | Decoder | undefined): codec is Decoder {
  return typeof codec === "function";
}

/**
 * Codecs for runtimes and projects that cannot load them from npm by themselves: compiled binaries of
 * jSquash, or custom decoders. Those that are missing are loaded from npm.
 */
export interface CodecModules {
  /** `codec/dec/mozjpeg_dec.wasm` of `@jsquash/jpeg` 1.6.0, or a function. */
  readonly jpeg?: WebAssembly.Module | Decoder;
  /** `codec/dec/webp_dec.wasm` of `@jsquash/webp` 1.5.0, or a function. */
  readonly webp?: WebAssembly.Module | Decoder;
}

/** What a decoder gets besides the bytes. */
export interface DecodeContext {
  /** The file's name in errors. */
  readonly name: string;
  /** The size in the header. Decoding to any other size is an error. */
  readonly size: Size;
  /** The bytes of memory that decoding may take; see `Format.memory()`. */
  readonly memory: number;
  /** Called with one line about damage that did not prevent decoding. */
  readonly warn: (message: string) => void;
  readonly codecs: CodecModules;
  /** Whether the codec may keep the memory of earlier images; see `DecodeOptions.reuse`. */
  readonly reuse: boolean;
  /** Stops decoding between two steps. */
  readonly signal?: AbortSignal;
}

/** A file format. Methods throw a FileError that names the file. */
export interface Format {
  /** The name in messages, such as "PNG". */
  readonly name: string;
  /** Whether the first bytes are those of this format. */
  matches(bytes: Uint8Array): boolean;
  /** Reads the size from the header, and nothing after it. */
  readSize(bytes: Uint8Array, file: string): Size;
  /**
   * Reads the EXIF orientation, or returns a function that does if it must be decompressed. Not called
   * before `readSize`.
   */
  readOrientation(bytes: Uint8Array, file: string): Orientation | (() => Promise<Orientation>);
  /**
   * The memory in bytes that decoding takes at most, including the pixels but not `bytes` and the
   * codec itself. Estimated from the headers. Not called before `readSize`.
   */
  memory(bytes: Uint8Array, file: string, size: Size): number;
  /**
   * Walks the whole file. Throws if it is truncated, or would take too long to decode.
   *
   * @param warn Called with one line about damage that does not prevent decoding.
   */
  check(bytes: Uint8Array, file: string, warn: (message: string) => void): void;
  /** Decodes a file that passed `check`. Orientation is not applied. */
  decode(bytes: Uint8Array, context: DecodeContext): Promise<RgbImage>;
}

/**
 * The bytes that a WebAssembly codec takes at most.
 *
 * It keeps the file and RGBA pixels in its own memory, which grows by up to a quarter more than it
 * needs, and never shrinks. A copy of the pixels becomes the RGB image.
 */
export function wasmMemory(pixels: number, fileBytes: number): number {
  return 9 * pixels + fileBytes;
}

/**
 * The bytes that the runtime's decoder takes at most: copies of the file, the bitmap, the canvas, the
 * PNG that the canvas is exported as, and the RGB image.
 */
export function runtimeMemory(pixels: number, fileBytes: number): number {
  return 16 * pixels + 2 * fileBytes;
}
