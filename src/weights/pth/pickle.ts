/**
 * A safe interpreter for the part of Python's pickle format that `torch.save()` writes (protocols
 * 2–5). It executes no code from the file: a pickle may only name classes and functions that the
 * host allows, and the host implements them itself. Each instruction takes at least one byte and
 * creates at most one value, nothing recurses, and the number of instructions is limited, so the
 * cost of a malicious pickle is proportional to its length.
 *
 * Opcodes: CPython, `Lib/pickle.py` and `Lib/pickletools.py`.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { Dict, Global, List, Tuple, type Value } from "./pickle_values.ts";
import { escapeText } from "../io/quote.ts";

/** Implements the names in a pickle. Methods throw a FileError to reject. */
export interface PickleHost {
  /** Whether a pickle may use this name, in the form `module.name`. */
  allows(name: string): boolean;
  /** Calls a class or function by name. */
  call(name: string, args: readonly Value[]): Value;
  /** Resolves a persistent id, like `Unpickler.persistent_load()`. */
  persistentLoad(id: Value): Value;
  /** Sets the state of an object, like `__setstate__()`. */
  build(object: Value, state: Value): void;
}

/** The bytes end before the pickle does. The caller knows whether there are more. */
export class TruncatedPickle extends Error {}

/** A tensor takes about 60 instructions, so this is enough for 16 000 tensors. */
const maxInstructions = 1_000_000;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const latin1 = new TextDecoder("latin1");

/**
 * Interprets the pickle at offset `start`.
 *
 * @param bytes The bytes that contain the pickle.
 * @param start The offset of its first byte.
 * @param host Implements the names in the pickle.
 * @param file The file name in error messages.
 * @returns The value, and the offset of the pickle's end.
 * @throws {FileError} When the pickle is damaged, or uses a name that the host does not allow.
 * @throws {TruncatedPickle} When `bytes` ends before the pickle does.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  host: PickleHost,
  file: string,
): { value: Value; end: number } {
  const machine = new Machine(bytes, start, host, file);
  return { value: machine.run(), end: machine.at };
}

class Machine {
  readonly #view: DataView;
  readonly #stack: Value[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, Value>();

  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    readonly host: PickleHost,
    readonly file: string,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  run(): Value {
    for (let count = 0; count < maxInstructions; count++) {
      const opcode = this.bytes[this.#take(1)];
      if (opcode === 0x2e) return this.#pop(); // STOP
      this.#step(opcode);
    }
    throw this.#damaged(`has more than ${maxInstructions} instructions`);
  }

  #step(opcode: number): void {
    const stack = this.#stack, view = this.#view;
    switch (opcode) {
      case 0x80: { // PROTO
        const protocol = view.getUint8(this.#take(1));
        if (protocol < 2 || protocol > 5) throw this.#damaged(`claims protocol ${protocol}`);
        return;
      }
      case 0x95: // FRAME, a hint for buffering
        this.#take(8);
        return;

      case 0x4e: // NONE
        return void stack.push(null);
      case 0x88: // NEWTRUE
        return void stack.push(true);
      case 0x89: // NEWFALSE
        return void stack.push(false);
      case 0x4a: // BININT
        return void stack.push(view.getInt32(this.#take(4), true));
      case 0x4b: // BININT1
        return void stack.push(view.getUint8(this.#take(1)));
      case 0x4d: // BININT2
        return void stack.push(view.getUint16(this.#take(2), true));
      case 0x8a: // LONG1
        return void stack.push(this.#long());
      case 0x47: // BINFLOAT, big-endian
        return void stack.push(view.getFloat64(this.#take(8)));
      case 0x58: // BINUNICODE
        return void stack.push(this.#text(utf8, view.getUint32(this.#take(4), true)));
      case 0x8c: // SHORT_BINUNICODE
        return void stack.push(this.#text(utf8, view.getUint8(this.#take(1))));
      case 0x54: // BINSTRING, a Python 2 str
        return void stack.push(this.#text(latin1, view.getUint32(this.#take(4), true)));
      case 0x55: // SHORT_BINSTRING
        return void stack.push(this.#text(latin1, view.getUint8(this.#take(1))));
      case 0x42: // BINBYTES
        return void stack.push(this.#slice(view.getUint32(this.#take(4), true)));
      case 0x43: // SHORT_BINBYTES
        return void stack.push(this.#slice(view.getUint8(this.#take(1))));

      case 0x28: // MARK
        return void this.#marks.push(stack.length);
      case 0x29: // EMPTY_TUPLE
        return void stack.push(new Tuple([]));
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: { // TUPLE3
        const items: Value[] = [];
        for (let i = 0x84; i < opcode; i++) items.unshift(this.#pop());
        return void stack.push(new Tuple(items));
      }
      case 0x74: // TUPLE
        return void stack.push(new Tuple(this.#sinceMark()));
      case 0x5d: // EMPTY_LIST
        return void stack.push(new List());
      case 0x61: { // APPEND
        const item = this.#pop();
        return void this.#top(List).items.push(item);
      }
      case 0x65: { // APPENDS
        const items = this.#sinceMark(), list = this.#top(List).items;
        for (const item of items) list.push(item);
        return;
      }
      case 0x7d: // EMPTY_DICT
        return void stack.push(new Dict());
      case 0x73: { // SETITEM
        const value = this.#pop(), key = this.#pop();
        return void this.#top(Dict).map.set(key, value);
      }
      case 0x75: { // SETITEMS
        const items = this.#sinceMark(), dict = this.#top(Dict).map;
        if (items.length % 2) throw this.#damaged("has a key without a value");
        for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
        return;
      }

      case 0x71: // BINPUT
        return this.#remember(view.getUint8(this.#take(1)));
      case 0x72: // LONG_BINPUT
        return this.#remember(view.getUint32(this.#take(4), true));
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.size);
      case 0x68: // BINGET
        return this.#recall(view.getUint8(this.#take(1)));
      case 0x6a: // LONG_BINGET
        return this.#recall(view.getUint32(this.#take(4), true));

      case 0x63: { // GLOBAL
        const module = this.#line(), name = this.#line();
        return void stack.push(this.#global(module, name));
      }
      case 0x93: { // STACK_GLOBAL
        const name = this.#pop(), module = this.#pop();
        return void stack.push(this.#global(module, name));
      }
      case 0x52: { // REDUCE
        const args = this.#pop(), callee = this.#pop();
        if (!(callee instanceof Global && args instanceof Tuple)) {
          throw this.#damaged("calls something that is not callable");
        }
        return void stack.push(this.host.call(callee.name, args.items));
      }
      case 0x62: { // BUILD
        const state = this.#pop(), object = this.#pop();
        this.host.build(object, state);
        return void stack.push(object);
      }
      case 0x51: // BINPERSID
        return void stack.push(this.host.persistentLoad(this.#pop()));
    }
    throw this.#unsupported(opcode);
  }

  /** Skips `length` bytes and returns the offset of the first. */
  #take(length: number): number {
    const at = this.at;
    if (at + length > this.bytes.length) throw new TruncatedPickle();
    this.at = at + length;
    return at;
  }

  #slice(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  #text(decoder: TextDecoder, length: number): string {
    const bytes = this.#slice(length);
    try {
      return decoder.decode(bytes);
    } catch {
      throw this.#damaged("has text that is not UTF-8");
    }
  }

  /** Reads a line of a GLOBAL: the name of a module, class or function. */
  #line(): string {
    const length = this.bytes.subarray(this.at, this.at + 256).indexOf(0x0a);
    if (length < 0) {
      this.#take(256);
      throw this.#damaged("has an unterminated name");
    }
    const text = this.#text(utf8, length);
    this.#take(1);
    return text;
  }

  /** Reads a little-endian integer in two's complement, as a number if that is exact. */
  #long(): number | bigint {
    const bytes = this.#slice(this.#view.getUint8(this.#take(1)));
    let value = 0n;
    for (const byte of bytes.toReversed()) value = value << 8n | BigInt(byte);
    value = BigInt.asIntN(8 * bytes.length, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #pop(): Value {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#underflow();
    return this.#stack.pop()!;
  }

  #sinceMark(): Value[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#underflow();
    return this.#stack.splice(mark);
  }

  #top<T extends object>(type: new (...args: never[]) => T): T {
    const top = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.at(-1) : undefined;
    if (top instanceof type) return top;
    throw this.#damaged(`adds an item to something that is not a ${type.name.toLowerCase()}`);
  }

  #remember(index: number): void {
    const value = this.#pop();
    this.#stack.push(value);
    this.#memo.set(index, value);
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#damaged(`reads memo entry ${index}, which was never set`);
    this.#stack.push(value);
  }

  #global(module: Value, name: Value): Global {
    if (typeof module !== "string" || typeof name !== "string") {
      throw this.#damaged("has a global whose name is not text");
    }
    const fullName = `${module}.${name}`;
    if (this.host.allows(fullName)) return new Global(fullName);
    throw new FileError(
      this.file,
      this.#holdsModule()
        ? `contains a whole pickled model (it uses ${escapeText(fullName)}), not only weights: ` +
          `save model.state_dict() instead; nothing was executed`
        : `the pickle uses ${
          escapeText(fullName)
        }, which weights never need: rejected, nothing was executed`,
    );
  }

  /** Whether the bytes contain the attribute names that every torch.nn.Module has. */
  #holdsModule(): boolean {
    const text = latin1.decode(this.bytes);
    return text.includes("_parameters") && text.includes("_buffers") && text.includes("_modules");
  }

  #unsupported(opcode: number): FileError {
    const hex = `0x${opcode.toString(16).padStart(2, "0")}`;
    return new FileError(
      this.file,
      `the pickle uses opcode ${hex}, which weights never need: rejected, nothing was executed`,
    );
  }

  #underflow(): FileError {
    return this.#damaged("pops from an empty stack");
  }

  #damaged(what: string): FileError {
    return new FileError(this.file, `the pickle ${what}: damaged`);
  }
}
