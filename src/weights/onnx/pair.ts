/**
 * Reads the pairs of strings in an ONNX file: metadata, and the places of external data.
 *
 * @module
 */

import type { ByteRange } from "../io/source.ts";
import type { ProtoReader } from "./protobuf.ts";

/** Reads a StringStringEntryProto. */
export async function readPair(reader: ProtoReader, range: ByteRange): Promise<[string, string]> {
  let key = "", value = "";
  for await (const field of reader.fields(range)) {
    if (field.number === 1) key = await reader.text(field);
    else if (field.number === 2) value = await reader.text(field);
  }
  return [key, value];
}
