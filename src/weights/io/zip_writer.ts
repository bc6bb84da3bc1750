/**
 * Zip archives of uncompressed records.
 *
 * Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
 *
 * @module
 */

import { crc32 } from "../../io/crc32.ts";
import { type Elements, lengthOf, littleEndian, type Part } from "./file_writer.ts";

/** A record to write: bytes, or a tensor's elements. */
export interface RecordToWrite {
  readonly name: string;
  readonly content: Uint8Array<ArrayBuffer> | Elements;
}

/** Version 2.0, the least that anything writes; no flags; stored; midnight of the first of 1980. */
const common = [20, 0, 0, 0, 0x21].map((value) => littleEndian(value, 2));

/**
 * Lays out an archive; what it holds must be below 4 GiB and 2¹⁶ records.
 *
 * @param alignment Every record's content begins at a multiple of this.
 */
export function layOutZip(records: readonly RecordToWrite[], alignment: number): Part[] {
  const body: Part[] = [], directory: Part[] = [];
  let at = 0;
  for (const { name, content } of records) {
    const called = new TextEncoder().encode(name);
    const sizes = [
      checksumOf(content),
      littleEndian(content.length, 4),
      littleEndian(content.length, 4),
    ];
    const padding = paddingOf(at + 30 + called.length, alignment);
    const local: Part[] = [
      signature("PK\x03\x04"),
      ...common,
      ...sizes,
      littleEndian(called.length, 2),
      littleEndian(padding.length, 2),
      called,
      padding,
      content,
    ];
    body.push(...local);
    directory.push(
      signature("PK\x01\x02"),
      littleEndian(20, 2), // made by
      ...common,
      ...sizes,
      littleEndian(called.length, 2),
      new Uint8Array(2 + 2 + 2 + 2 + 4), // no extra field, comment or attributes, on disk 0
      littleEndian(at, 4),
      called,
    );
    at += lengthOf(local);
  }
  const end = [
    signature("PK\x05\x06"),
    new Uint8Array(2 + 2), // on disk 0
    littleEndian(records.length, 2),
    littleEndian(records.length, 2),
    littleEndian(lengthOf(directory), 4),
    littleEndian(at, 4),
    new Uint8Array(2), // no comment
  ];
  return [...body, ...directory, ...end];
}

function signature(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function checksumOf(content: RecordToWrite["content"]): Part {
  return content instanceof Uint8Array
    ? littleEndian(crc32(content), 4)
    : { kind: "checksum", tensor: content.tensor, length: 4 };
}

/** An extra field of no meaning, "FB" as PyTorch calls it, that ends at a multiple of the alignment. */
function paddingOf(start: number, alignment: number): Uint8Array<ArrayBuffer> {
  let length = (alignment - start % alignment) % alignment;
  while (length < 4) length += alignment; // its own header
  const field = new Uint8Array(length).fill(0x5a);
  field.set(signature("FB"));
  field.set(littleEndian(length - 4, 2), 2);
  return field;
}
