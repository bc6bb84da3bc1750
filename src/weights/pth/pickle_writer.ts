/**
 * Writes the pickles (protocol 2) of PyTorch's state dicts.
 *
 * Source: Python, `Lib/pickletools.py` (opcodes).
 *
 * @module
 */

import { littleEndian, writeToMemory } from "../io/file_writer.ts";

/** Instructions that push one value onto the stack. */
export type PickleCode = readonly (string | Uint8Array<ArrayBuffer>)[];

/** A whole pickle: PROTO, a value, STOP. */
export function pickle(value: PickleCode): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const parts = [Uint8Array.of(0x80, 2), ...value, "."].map((part) =>
    typeof part === "string" ? encoder.encode(part) : part
  );
  return writeToMemory(parts, () => {});
}

/** A string: BINUNICODE. */
export function text(value: string): PickleCode {
  const bytes = new TextEncoder().encode(value);
  return ["X", littleEndian(bytes.length, 4), bytes];
}

/** A non-negative integer: BININT, or LONG1 for more than 31 bits. */
export function integer(value: number): PickleCode {
  return value < 2 ** 31
    ? ["J", littleEndian(value, 4)]
    : [Uint8Array.of(0x8a, 8), littleEndian(value, 8)];
}

/** False: NEWFALSE. */
export const newFalse: PickleCode = [Uint8Array.of(0x89)];

/** A Python class or function: GLOBAL. */
export function global(module: string, name: string): PickleCode {
  return [`c${module}\n${name}\n`];
}

/** A tuple: MARK, items, TUPLE. */
export function tuple(...items: readonly PickleCode[]): PickleCode {
  return ["(", ...items.flat(), "t"];
}

/** The result of a call: callee, arguments, REDUCE. */
export function call(callee: PickleCode, ...args: readonly PickleCode[]): PickleCode {
  return [...callee, ...tuple(...args), "R"];
}

/** A reference to data outside the pickle: BINPERSID. */
export function persistentId(id: PickleCode): PickleCode {
  return [...id, "Q"];
}

/** A dict with entries added: MARK, keys and values, SETITEMS. */
export function setItems(
  dict: PickleCode,
  entries: readonly (readonly [PickleCode, PickleCode])[],
): PickleCode {
  return [...dict, "(", ...entries.flat(2), "u"];
}
