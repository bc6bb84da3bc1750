/**
 * A minimal protobuf writer. A field is a key (number · 8 + wire type), followed by a varint (type 0),
 * a length and that many bytes (type 2), or four bytes (type 5).
 *
 * @module
 */

/** A message in pieces, so that large contents are copied only once, by {@linkcode join}. */
export type Pieces = Uint8Array[];

export function integer(field: number, value: number): Pieces {
  return [varint(field * 8), varint(value)];
}

export function float(field: number, value: number): Pieces {
  return [varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer)];
}

export function bytes(field: number, value: Uint8Array): Pieces {
  return message(field, [value]);
}

export function text(field: number, value: string): Pieces {
  return bytes(field, new TextEncoder().encode(value));
}

export function message(field: number, content: Pieces): Pieces {
  return [varint(field * 8 + 2), varint(length(content)), ...content];
}

export function join(pieces: Pieces): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length(pieces));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Seven bits per byte, lowest first. The top bit is set if more bytes follow. */
function varint(value: number): Uint8Array {
  const out: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) out.push(value % 128 + 128);
  return Uint8Array.from([...out, value]);
}

function length(pieces: Pieces): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}
