/**
 * A safe interpreter for the part of Python's pickle format that `torch.save()` writes (protocols
 * 2–5). It executes no code from the file: a pickle may only name classes and functions that the
 * host allows, and the host implements them itself. Nothing recurses, the number of instructions is
 * limited, and every value that is created or copied counts towards a budget, so the cost of a
 * malicious pickle is bounded.
 *
 * Opcodes: CPython, `Lib/pickle.py` and `Lib/pickletools.py`.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { MemoryBudget } from "../io/memory_budget.ts";
import {
  Dict,
  emptyTuple,
  Global,
  List,
  Opaque,
  opaque,
  Tuple,
  type Value,
} from "./pickle_values.ts";
import { escapeText } from "../io/quote.ts";
import { decodeText } from "../io/text.ts";

/** Implements the names in a pickle. Methods throw a FileError to reject. */
export interface PickleHost {
  /** The memory that values may take. */
  readonly budget: MemoryBudget;
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

/** Integers of more bytes are neither sizes nor the number at the start of a legacy file. */
const maxLongBytes = 16;

/** The memory that values take in V8, in bytes, with what their containers allocate ahead. */
export const cost = {
  number: 16,
  text: 32,
  char: 2,
  tuple: 56,
  list: 48,
  dict: 48,
  item: 8,
  entry: 64,
  firstItem: 160,
  firstEntry: 200,
  object: 64,
} as const;

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
  readonly #budget: MemoryBudget;
  readonly #stack: Value[] = [];
  readonly #marks: number[] = [];
  /** Memo entries in the order of their numbers, as Python assigns them. */
  readonly #memo: Value[] = [];
  /** All other memo entries. */
  readonly #sparseMemo = new Map<number, Value>();
  /** The allowed names that the pickle uses. There are not many. */
  readonly #globals = new Map<string, Global>();

  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    readonly host: PickleHost,
    readonly file: string,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#budget = host.budget;
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
        return void stack.push(this.#number(view.getInt32(this.#take(4), true)));
      case 0x4b: // BININT1
        return void stack.push(view.getUint8(this.#take(1)));
      case 0x4d: // BININT2
        return void stack.push(view.getUint16(this.#take(2), true));
      case 0x8a: // LONG1
        return void stack.push(this.#long(view.getUint8(this.#take(1))));
      case 0x8b: // LONG4
        return void stack.push(this.#long(view.getUint32(this.#take(4), true)));
      case 0x47: // BINFLOAT, big-endian
        return void stack.push(this.#number(view.getFloat64(this.#take(8))));
      case 0x58: // BINUNICODE
        return void stack.push(this.#text(view.getUint32(this.#take(4), true)));
      case 0x8c: // SHORT_BINUNICODE
        return void stack.push(this.#text(view.getUint8(this.#take(1))));
      case 0x54: // BINSTRING, a Python 2 str
        return void stack.push(this.#text(view.getUint32(this.#take(4), true), latin1));
      case 0x55: // SHORT_BINSTRING
        return void stack.push(this.#text(view.getUint8(this.#take(1)), latin1));
      case 0x8d: // BINUNICODE8
        return void stack.push(this.#text(this.#length()));
      // Bytes are never names, sizes or tensors.
      case 0x42: // BINBYTES
        return this.#skipBytes(view.getUint32(this.#take(4), true));
      case 0x43: // SHORT_BINBYTES
        return this.#skipBytes(view.getUint8(this.#take(1)));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#skipBytes(this.#length());

      case 0x28: // MARK
        return void this.#marks.push(stack.length);
      case 0x31: // POP_MARK
        return void this.#sinceMark();
      case 0x30: // POP
        // A mark is an item of Python's stack, too.
        if (this.#marks.at(-1) === stack.length) this.#marks.pop();
        else this.#pop();
        return;
      case 0x32: { // DUP
        const value = this.#pop();
        return void stack.push(value, value);
      }
      case 0x29: // EMPTY_TUPLE
        return void stack.push(emptyTuple);
      case 0x85: // TUPLE1
        return this.#pushTuple([this.#pop()]);
      case 0x86: { // TUPLE2
        const second = this.#pop();
        return this.#pushTuple([this.#pop(), second]);
      }
      case 0x87: { // TUPLE3
        const third = this.#pop(), second = this.#pop();
        return this.#pushTuple([this.#pop(), second, third]);
      }
      case 0x74: // TUPLE
        return this.#pushTuple(this.#sinceMark());
      case 0x5d: // EMPTY_LIST
        this.#budget.spend(cost.list);
        return void stack.push(new List());
      case 0x61: { // APPEND
        const item = this.#pop();
        return this.#append([item]);
      }
      case 0x65: // APPENDS
        return this.#append(this.#sinceMark());
      case 0x7d: // EMPTY_DICT
        this.#budget.spend(cost.dict);
        return void stack.push(new Dict());
      case 0x73: { // SETITEM
        const value = this.#pop(), key = this.#pop();
        return this.#setItems([key, value]);
      }
      case 0x75: // SETITEMS
        return this.#setItems(this.#sinceMark());
      case 0x8f: // EMPTY_SET
        return void stack.push(opaque);
      case 0x90: // ADDITEMS
        this.#sinceMark();
        return void this.#top(Opaque);
      case 0x91: // FROZENSET
        this.#sinceMark();
        return void stack.push(opaque);

      case 0x71: // BINPUT
        return this.#remember(view.getUint8(this.#take(1)));
      case 0x72: // LONG_BINPUT
        return this.#remember(view.getUint32(this.#take(4), true));
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.length + this.#sparseMemo.size);
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
      case 0x92: // NEWOBJ_EX, with keyword arguments
        this.#pop();
        return this.#call();
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        return this.#call();
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

  /** Reads a length of eight bytes. */
  #length(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  #skipBytes(length: number): void {
    this.#take(length);
    this.#stack.push(opaque);
  }

  #slice(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  #text(length: number, decoder?: TextDecoder): string {
    const bytes = this.#slice(length);
    this.#budget.spend(cost.text + cost.char * length);
    return this.#decode(bytes, decoder);
  }

  #decode(bytes: Uint8Array, decoder?: TextDecoder): string {
    try {
      return decodeText(bytes, decoder);
    } catch {
      throw this.#damaged("has text that is not UTF-8");
    }
  }

  /** Reads a line of a GLOBAL: the name of a module, class or function. */
  #line(): string {
    let length = 0;
    while (length < 256 && this.bytes[this.at + length] !== 0x0a) length++;
    if (length === 256) {
      this.#take(256);
      throw this.#damaged("has an unterminated name");
    }
    const text = this.#decode(this.#slice(length)); // of known names, only one copy is kept
    this.#take(1);
    return text;
  }

  /** Reads a little-endian integer in two's complement, as a number if that is exact. */
  #long(length: number): number | bigint | Opaque {
    const bytes = this.#slice(length);
    if (length > maxLongBytes) return opaque; // no size or key
    this.#budget.spend(cost.number + length);
    const extended = new Uint8Array(maxLongBytes).fill(bytes[length - 1] & 0x80 ? 0xff : 0);
    extended.set(bytes);
    const view = new DataView(extended.buffer), low = view.getBigUint64(0, true);
    const value = view.getBigInt64(8, true) << 64n | low, number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #number(value: number): number {
    this.#budget.spend(cost.number);
    return value;
  }

  #pushTuple(items: Value[]): void {
    this.#budget.spend(cost.tuple + cost.item * items.length);
    this.#stack.push(new Tuple(items));
  }

  #append(items: readonly Value[]): void {
    const list = this.#top(List);
    if (list instanceof Opaque) return;
    this.#budget.spend((list.isEmpty ? cost.firstItem : 0) + cost.item * items.length);
    for (const item of items) list.items.push(item);
  }

  #setItems(items: readonly Value[]): void {
    const dict = this.#top(Dict);
    if (items.length % 2) throw this.#damaged("has a key without a value");
    if (dict instanceof Opaque) return;
    this.#budget.spend((dict.isEmpty ? cost.firstEntry : 0) + cost.entry * items.length / 2);
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  /** Calls the class or function on the stack with the tuple above it. */
  #call(): void {
    const args = this.#pop(), callee = this.#pop();
    if (!(callee instanceof Global && args instanceof Tuple)) {
      throw this.#damaged("calls something that is not callable");
    }
    this.#stack.push(this.host.call(callee.name, args.items));
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

  /** The value on top of the stack, which must be of this type, or opaque. */
  #top<T extends object>(type: new () => T): T | Opaque {
    const top = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.at(-1) : undefined;
    if (top instanceof type || top instanceof Opaque) return top;
    const name = type.name === "Opaque" ? "set" : type.name.toLowerCase();
    throw this.#damaged(`adds an item to something that is not a ${name}`);
  }

  #remember(index: number): void {
    const value = this.#pop();
    this.#stack.push(value);
    if (index < this.#memo.length) this.#memo[index] = value;
    else if (index === this.#memo.length) this.#memo.push(value);
    else {
      this.#budget.spend(cost.entry);
      this.#sparseMemo.set(index, value);
    }
  }

  #recall(index: number): void {
    const value = index < this.#memo.length ? this.#memo[index] : this.#sparseMemo.get(index);
    if (value === undefined) throw this.#damaged(`reads memo entry ${index}, which was never set`);
    this.#stack.push(value);
  }

  #global(module: Value, name: Value): Global {
    if (typeof module !== "string" || typeof name !== "string") {
      throw this.#damaged("has a global whose name is not text");
    }
    const fullName = `${module}.${name}`;
    const known = this.#globals.get(fullName);
    if (known) return known;
    if (this.host.allows(fullName)) {
      const global = new Global(fullName);
      this.#globals.set(fullName, global);
      return global;
    }
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
