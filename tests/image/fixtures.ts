/** Reads the fixtures that the scripts in tests/fixtures/image make. */

import { crc32 } from "../../src/io/crc32.ts";
import { joinBytes } from "../bytes.ts";

const folder = new URL("../fixtures/image/", import.meta.url);
const expected = Deno.readFileSync(new URL("expected.bin", folder));

/** A range of expected.bin: offset and length. */
export type Place = [number, number];

/** Reads a list of test cases. */
export function readCases<T>(file: string): T[] {
  return JSON.parse(Deno.readTextFileSync(new URL(file, folder)));
}

/** The bytes in a range of expected.bin. */
export function bytesAt([offset, length]: Place): Uint8Array<ArrayBuffer> {
  return expected.subarray(offset, offset + length);
}

/** The floats in a range of expected.bin. */
export function floatsAt(place: Place): Float32Array {
  return new Float32Array(bytesAt(place).slice().buffer);
}

/** Reads an image file. */
export function readImage(file: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(`images/${file}`, folder));
}

/** Reads a damaged or unusual image. */
export function readFault(file: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(`faults/${file}`, folder));
}

/** Concatenates bytes; strings are Latin-1. */
export function concat(...parts: (Uint8Array | number[] | string)[]): Uint8Array<ArrayBuffer> {
  return joinBytes(
    parts.map((part) =>
      typeof part === "string" ? Array.from(part, (letter) => letter.charCodeAt(0)) : part
    ),
  );
}

/** A PNG whose header states 900 megapixels, without any pixels. */
export function hugePng(): Uint8Array<ArrayBuffer> {
  const size = [...uint32(30_000), ...uint32(30_000)];
  return concat("\x89PNG\r\n\x1a\n", uint32(13), "IHDR", size, [8, 2, 0, 0, 0], uint32(0));
}

/** A big-endian 32-bit integer, as in PNG. */
export function uint32(value: number): number[] {
  return [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255];
}

/** A chunk of a PNG. */
export function pngChunk(type: string, content: Uint8Array | number[]): Uint8Array<ArrayBuffer> {
  const body = concat(type, content);
  return concat(uint32(content.length), body, uint32(crc32(body)));
}

/** Counts the codecs that start, until it is disposed. */
export function countStarts(): Disposable & { readonly starts: number } {
  const { Instance } = WebAssembly;
  let starts = 0;
  WebAssembly.Instance = class extends Instance {
    constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
      super(module, imports);
      starts++;
    }
  };
  return {
    get starts() {
      return starts;
    },
    [Symbol.dispose]: () => void (WebAssembly.Instance = Instance),
  };
}
