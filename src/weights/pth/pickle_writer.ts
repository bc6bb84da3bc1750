/**
 * Pickles of protocol 2, as far as PyTorch's state dicts need them.
 *
 * Source: Python, `Lib/pickletools.py` (opcodes).
 *
 * @module
 */

import { littleEndian } from "../io/file_writer.ts";

/** Instructions that leave one value on the machine's stack. */
export type Pickled = readonly (string | Uint8Array<ArrayBuffer>)[];

/** A whole pickle: PROTO, a value, STOP. */
export function pickle(value: Pickled): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const pieces = [Uint8Array.of(0x80, 2), ...value, "."].map((piece) =>
    typeof piece === "string" ? encoder.encode(piece) : piece
  );
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** BINUNICODE: a text. */
export function text(value: string): Pickled {
  const bytes = new TextEncoder().encode(value);
  return ["X", littleEndian(bytes.length, 4), bytes];
}

/** BININT, or LONG1 beyond 31 bits: a whole number from 0 on. */
export function integer(value: number): Pickled {
  return value < 2 ** 31
    ? ["J", littleEndian(value, 4)]
    : [Uint8Array.of(0x8a, 8), littleEndian(value, 8)];
}

/** NEWFALSE */
export const no: Pickled = [Uint8Array.of(0x89)];

/** GLOBAL: something of Python's by its name. */
export function global(module: string, name: string): Pickled {
  return [`c${module}\n${name}\n`];
}

/** MARK, items, TUPLE */
export function tuple(...items: readonly Pickled[]): Pickled {
  return ["(", ...items.flat(), "t"];
}

/** REDUCE: what something gives for arguments. */
export function call(callee: Pickled, ...args: readonly Pickled[]): Pickled {
  return [...callee, ...tuple(...args), "R"];
}

/** BINPERSID: what lies outside of the pickle. */
export function persistent(id: Pickled): Pickled {
  return [...id, "Q"];
}

/** MARK, keys and values, SETITEMS: a dict, filled. */
export function filled(dict: Pickled, entries: readonly (readonly [Pickled, Pickled])[]): Pickled {
  return [...dict, "(", ...entries.flat(2), "u"];
}
