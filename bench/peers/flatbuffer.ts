/**
 * A minimal FlatBuffers writer. An offset points forward to what it refers to, so parents are written
 * before their children. All scalars take four bytes, which readers of smaller types allow.
 *
 * @module
 */

/** Something that an offset refers to. */
export interface Node {
  /** Writes it, and returns its position. */
  write(out: Output): number;
}

/** The fields of a table in the order of the schema. Numbers are integers; undefined is the default. */
export type Fields = readonly (number | Node | undefined)[];

/** A file with its root table. */
export function flatbuffer(identifier: string, root: Node): Uint8Array<ArrayBuffer> {
  const out = new Output(), offset = out.reserve(4);
  out.bytes(new TextEncoder().encode(identifier));
  out.refer(offset, root);
  return out.result();
}

export function table(fields: Fields): Node {
  return {
    write(out) {
      const present = fields.flatMap((field, i) => field === undefined ? [] : [{ field, i }]);
      out.align(4);
      const start = out.reserve(Math.ceil((4 + 2 * fields.length) / 4) * 4);
      const at = out.reserve(4 + 4 * present.length);
      out.uint16(start, 4 + 2 * fields.length); // the vtable: sizes, then the places of the fields
      out.uint16(start + 2, 4 + 4 * present.length);
      out.int32(at, at - start);
      for (const [slot, { field, i }] of present.entries()) {
        out.uint16(start + 4 + 2 * i, 4 + 4 * slot);
        if (typeof field === "number") out.int32(at + 4 + 4 * slot, field);
      }
      for (const [slot, { field }] of present.entries()) {
        if (typeof field === "object") out.refer(at + 4 + 4 * slot, field);
      }
      return at;
    },
  };
}

/** A vector of tables. */
export function tables(nodes: readonly Node[]): Node {
  return {
    write(out) {
      out.align(4);
      const at = out.reserve(4 + 4 * nodes.length);
      out.int32(at, nodes.length);
      for (const [i, node] of nodes.entries()) out.refer(at + 4 + 4 * i, node);
      return at;
    },
  };
}

/** A vector of 32-bit integers. */
export function integers(values: readonly number[]): Node {
  return {
    write(out) {
      out.align(4);
      const at = out.reserve(4 + 4 * values.length);
      out.int32(at, values.length);
      for (const [i, value] of values.entries()) out.int32(at + 4 + 4 * i, value);
      return at;
    },
  };
}

export function text(value: string): Node {
  const bytes = new TextEncoder().encode(value);
  return vector(bytes, 4);
}

/** A vector of bytes whose first one is aligned to 16 bytes. */
export function blob(values: Float32Array | Int32Array): Node {
  return vector(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 16);
}

/** A vector of bytes, with a zero behind it, as strings have. */
function vector(bytes: Uint8Array, alignment: number): Node {
  return {
    write(out) {
      out.align(alignment, 4);
      const at = out.reserve(4);
      out.int32(at, bytes.length);
      out.bytes(bytes);
      out.reserve(1);
      return at;
    },
  };
}

/** Memory that grows. */
class Output {
  #bytes = new Uint8Array(2 ** 20);
  #view = new DataView(this.#bytes.buffer);
  #size = 0;

  /** Appends zeros, and returns their position. */
  reserve(count: number): number {
    const at = this.#size;
    this.#size += count;
    if (this.#size > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#size);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  /** Appends zeros until the position after `skip` more bytes is a multiple of `size`. */
  align(size: number, skip = 0): void {
    const rest = (this.#size + skip) % size;
    if (rest > 0) this.reserve(size - rest);
  }

  bytes(values: Uint8Array): void {
    const at = this.reserve(values.length);
    this.#bytes.set(values, at);
  }

  uint16(at: number, value: number): void {
    this.#view.setUint16(at, value, true);
  }

  int32(at: number, value: number): void {
    this.#view.setInt32(at, value, true);
  }

  /** Writes a node, and its offset at a position. */
  refer(at: number, node: Node): void {
    this.int32(at, node.write(this) - at);
  }

  result(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#size);
  }
}
