/**
 * A safe interpreter for the part of Python's pickle format that `torch.save()` writes (protocols
 * 2–4). It executes no code from the file: a pickle may only name classes and functions that the
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
import { cost, latin1, PickleInput } from "./pickle_input.ts";
import { Memo } from "./pickle_memo.ts";
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

/** A tensor takes about 60 instructions, so this is enough for 16 000 tensors. */
const maxInstructions = 1_000_000;

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
  const input = new PickleInput(bytes, start, file, host.budget);
  return { value: new Machine(input, host, file).run(), end: input.at };
}

class Machine {
  readonly #input: PickleInput;
  readonly #budget: MemoryBudget;
  readonly #stack: Value[] = [];
  readonly #marks: number[] = [];
  readonly #memo: Memo;
  /** The allowed names that the pickle uses. There are not many. */
  readonly #globals = new Map<string, Global>();

  constructor(input: PickleInput, readonly host: PickleHost, readonly file: string) {
    this.#input = input;
    this.#budget = host.budget;
    this.#memo = new Memo(host.budget);
  }

  run(): Value {
    for (let count = 0; count < maxInstructions; count++) {
      const opcode = this.#input.uint8();
      if (opcode === 0x2e) return this.#pop(); // STOP
      this.#step(opcode);
    }
    throw this.#damaged(`has more than ${maxInstructions} instructions`);
  }

  #step(opcode: number): void {
    const stack = this.#stack, input = this.#input;
    switch (opcode) {
      case 0x80: { // PROTO
        const protocol = input.uint8();
        if (protocol < 2 || protocol > 5) throw this.#damaged(`claims protocol ${protocol}`);
        return;
      }
      case 0x95: // FRAME, a hint for buffering
        input.skip(8);
        return;

      case 0x4e: // NONE
        return void stack.push(null);
      case 0x88: // NEWTRUE
        return void stack.push(true);
      case 0x89: // NEWFALSE
        return void stack.push(false);
      case 0x4a: // BININT
        return void stack.push(input.int32());
      case 0x4b: // BININT1
        return void stack.push(input.uint8());
      case 0x4d: // BININT2
        return void stack.push(input.uint16());
      case 0x8a: // LONG1
        return void stack.push(input.long(input.uint8()));
      case 0x8b: // LONG4
        return void stack.push(input.long(input.uint32()));
      case 0x47: // BINFLOAT, big-endian
        return void stack.push(input.float64());
      case 0x58: // BINUNICODE
        return void stack.push(input.text(input.uint32()));
      case 0x8c: // SHORT_BINUNICODE
        return void stack.push(input.text(input.uint8()));
      case 0x54: // BINSTRING, a Python 2 str
        return void stack.push(input.text(input.uint32(), latin1));
      case 0x55: // SHORT_BINSTRING
        return void stack.push(input.text(input.uint8(), latin1));
      case 0x8d: // BINUNICODE8
        return void stack.push(input.text(input.uint64()));
      // Bytes are never names, sizes or tensors.
      case 0x42: // BINBYTES
        return this.#skipBytes(input.uint32());
      case 0x43: // SHORT_BINBYTES
        return this.#skipBytes(input.uint8());
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#skipBytes(input.uint64());

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
        return this.#remember(input.uint8());
      case 0x72: // LONG_BINPUT
        return this.#remember(input.uint32());
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.size);
      case 0x68: // BINGET
        return this.#recall(input.uint8());
      case 0x6a: // LONG_BINGET
        return this.#recall(input.uint32());

      case 0x63: { // GLOBAL
        const module = input.line(), name = input.line();
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

  #skipBytes(length: number): void {
    this.#input.skip(length);
    this.#stack.push(opaque);
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
    const text = latin1.decode(this.#input.bytes);
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
    return this.#input.damaged(what);
  }
}
