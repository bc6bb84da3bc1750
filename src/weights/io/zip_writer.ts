/**
 * Lays out uncompressed zip archives.
 *
 * Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
 *
 * @module
 */

import { crc32 } from "../../io/crc32.ts";
import { type ElementsPart, littleEndian, type Part, totalLength } from "./file_writer.ts";

/** An entry to write: bytes, or space for the elements of a tensor. */
export interface EntryToWrite {
  readonly name: string;
  readonly content: Uint8Array<ArrayBuffer> | ElementsPart;
}

/** The version 2.0, no flags, the method "stored", the time 0:00 and the date 1980-01-01. */
const commonFields = [20, 0, 0, 0, 0x21].map((value) => littleEndian(value, 2));

/**
 * Lays out an archive of less than 4 GiB and 2¹⁶ entries.
 *
 * @param alignment The contents of every entry start at a multiple of this.
 */
export function layOutZip(entries: readonly EntryToWrite[], alignment: number): Part[] {
  const body: Part[] = [], directory: Part[] = [];
  let offset = 0;
  for (const { name, content } of entries) {
    const nameBytes = new TextEncoder().encode(name);
    const checksumAndSizes = [
      checksumPart(content),
      littleEndian(content.length, 4),
      littleEndian(content.length, 4),
    ];
    const padding = paddingField(offset + 30 + nameBytes.length, alignment);
    const local: Part[] = [
      signature("PK\x03\x04"),
      ...commonFields,
      ...checksumAndSizes,
      littleEndian(nameBytes.length, 2),
      littleEndian(padding.length, 2),
      nameBytes,
      padding,
      content,
    ];
    body.push(...local);
    directory.push(
      signature("PK\x01\x02"),
      littleEndian(20, 2), // "version made by"
      ...commonFields,
      ...checksumAndSizes,
      littleEndian(nameBytes.length, 2),
      new Uint8Array(2 + 2 + 2 + 2 + 4), // no extra field, comment or attributes, on disk 0
      littleEndian(offset, 4),
      nameBytes,
    );
    offset += totalLength(local);
  }
  const end = [
    signature("PK\x05\x06"),
    new Uint8Array(2 + 2), // on disk 0
    littleEndian(entries.length, 2),
    littleEndian(entries.length, 2),
    littleEndian(totalLength(directory), 4),
    littleEndian(offset, 4),
    new Uint8Array(2), // no comment
  ];
  return [...body, ...directory, ...end];
}

function signature(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function checksumPart(content: EntryToWrite["content"]): Part {
  return content instanceof Uint8Array
    ? littleEndian(crc32(content), 4)
    : { kind: "checksum", tensor: content.tensor, length: 4 };
}

/** An extra field that only fills the space up to an aligned offset; "FB", as in PyTorch. */
function paddingField(start: number, alignment: number): Uint8Array<ArrayBuffer> {
  let length = (alignment - start % alignment) % alignment;
  while (length < 4) length += alignment; // room for the field's own header
  const field = new Uint8Array(length).fill(0x5a);
  field.set(signature("FB"));
  field.set(littleEndian(length - 4, 2), 2);
  return field;
}
