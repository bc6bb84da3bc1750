/**
 * What a file format has to say for itself; `formats/mod.ts` registers each once.
 *
 * @module
 */

import type { Orientation } from "../orient.ts";
import type { RgbaImage, RgbImage } from "../pixels.ts";

/** Width and height as the file stores them, before its orientation is applied. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * A decoder of the caller's: it takes the whole file and gives the pixels as the file stores them,
 * without applying the orientation in its EXIF data.
 */
export type Decoder = (bytes: Uint8Array) => RgbaImage | Promise<RgbaImage>;

/** Tells a decoder from a compiled codec. */
export function isDecoder(codec: WebAssembly.Module | Decoder | undefined): codec is Decoder {
  return typeof codec === "function";
}

/**
 * Codecs that the caller brings, for runtimes and projects that cannot load them by themselves:
 * compiled ones of jSquash, or decoders of the caller's own.
 */
export interface CodecModules {
  /** `codec/dec/mozjpeg_dec.wasm` of `@jsquash/jpeg` 1.6.0, or a function. */
  readonly jpeg?: WebAssembly.Module | Decoder;
  /** `codec/dec/webp_dec.wasm` of `@jsquash/webp` 1.5.0, or a function. */
  readonly webp?: WebAssembly.Module | Decoder;
}

/** What a decoder is told besides the bytes. */
export interface DecodeContext {
  /** The file, for errors. */
  readonly name: string;
  /** What the header said; pixels of another size are refused. */
  readonly size: Size;
  /** Called with one line about damage that did not prevent decoding. */
  readonly warn: (message: string) => void;
  readonly codecs: CodecModules;
  /** Whether a codec that other pictures have been through will do. */
  readonly reuse: boolean;
}

/** One file format. Every method throws a FileError that names the file. */
export interface Format {
  /** As messages name it, "PNG". */
  readonly name: string;
  /** Whether the file starts like one of these. */
  matches(bytes: Uint8Array): boolean;
  /** Reads the size from the header, and nothing that comes after it. */
  readSize(bytes: Uint8Array, file: string): Size;
  /** Walks the whole file: refuses one that was cut off, and finds its orientation on the way. */
  check(bytes: Uint8Array, file: string): Orientation;
  /** The pixels as stored, orientation not applied. Only called with bytes that passed `check`. */
  decode(bytes: Uint8Array, context: DecodeContext): Promise<RgbImage>;
}
