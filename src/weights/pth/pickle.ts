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
import type { DescriptionBudget } from "../io/description_budget.ts";
import { damagedPickle, PickleBytes } from "./pickle_bytes.ts";
import { PickleStack } from "./pickle_stack.ts";
import {
  cost,
  Dict,
  emptyTuple,
  Global,
  keyCost,
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
  readonly budget: DescriptionBudget;
  /** Whether a pickle may use this name, in the form `module.name`. */
  allows(name: string): boolean;
  /** Calls a class or function by name. */
  call(name: string, args: readonly Value[]): Value;
  /** Resolves a persistent id, like `Unpickler.persistent_load()`. */
  persistentLoad(id: Value): Value;
  /** Sets the state of an object, like `__setstate__()`. */
  build(object: Value, state: Value): void;
}

/** The most bytes that a reader passes: longer than any pickle of names and shapes. */
export const maxPickleBytes = 12 << 20;

/** A tensor takes about 60 instructions, so this is enough for 16 000 tensors. */
const maxInstructions = 1_000_000;

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

/** Runs the instructions of one pickle. */
class Machine {
  readonly #input: PickleBytes;
  readonly #budget: DescriptionBudget;
  readonly #stack: PickleStack;
  /** The allowed names that the pickle uses. There are not many. */
  readonly #globals = new Map<string, Global>();

  constructor(
    readonly bytes: Uint8Array,
    start: number,
    readonly host: PickleHost,
    readonly file: string,
  ) {
    this.#budget = host.budget;
    this.#input = new PickleBytes(bytes, start, host.budget, file);
    this.#stack = new PickleStack(host.budget, file);
  }

  /** The offset of the next byte. */
  get at(): number {
    return this.#input.at;
  }

  run(): Value {
    for (let count = 0; count < maxInstructions; count++) {
      const opcode = this.bytes[this.#input.take(1)];
      if (opcode === 0x2e) return this.#stack.pop(); // STOP
      this.#step(opcode);
    }
    throw this.#damaged(`has more than ${maxInstructions} instructions`);
  }

  #step(opcode: number): void {
    const stack = this.#stack, input = this.#input, view = input.view;
    switch (opcode) {
      case 0x80: { // PROTO
        const protocol = view.getUint8(input.take(1));
        if (protocol < 2 || protocol > 5) throw this.#damaged(`claims protocol ${protocol}`);
        return;
      }
      case 0x95: // FRAME, a hint for buffering
        input.take(8);
        return;

      case 0x4e: // NONE
        return void stack.push(null);
      case 0x88: // NEWTRUE
        return void stack.push(true);
      case 0x89: // NEWFALSE
        return void stack.push(false);
      case 0x4a: // BININT
        return void stack.push(this.#number(view.getInt32(input.take(4), true)));
      case 0x4b: // BININT1
        return void stack.push(view.getUint8(input.take(1)));
      case 0x4d: // BININT2
        return void stack.push(view.getUint16(input.take(2), true));
      case 0x8a: // LONG1
        return void stack.push(input.long(view.getUint8(input.take(1))));
      case 0x8b: // LONG4
        return void stack.push(input.long(view.getUint32(input.take(4), true)));
      case 0x47: // BINFLOAT, big-endian
        return void stack.push(this.#number(view.getFloat64(input.take(8))));
      case 0x58: // BINUNICODE
        return void stack.push(input.text(view.getUint32(input.take(4), true)));
      case 0x8c: // SHORT_BINUNICODE
        return void stack.push(input.text(view.getUint8(input.take(1))));
      case 0x54: // BINSTRING, a Python 2 str
        return void stack.push(input.text(view.getUint32(input.take(4), true), latin1));
      case 0x55: // SHORT_BINSTRING
        return void stack.push(input.text(view.getUint8(input.take(1)), latin1));
      case 0x8d: // BINUNICODE8
        return void stack.push(input.text(input.length()));
      // Bytes are never names, sizes or tensors.
      case 0x42: // BINBYTES
        return this.#skipBytes(view.getUint32(input.take(4), true));
      case 0x43: // SHORT_BINBYTES
        return this.#skipBytes(view.getUint8(input.take(1)));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#skipBytes(input.length());

      case 0x28: // MARK
        return stack.mark();
      case 0x31: // POP_MARK
        return void stack.sinceMark();
      case 0x30: // POP
        return stack.popItem();
      case 0x32: { // DUP
        const value = stack.pop();
        return void stack.push(value, value);
      }
      case 0x29: // EMPTY_TUPLE
        return void stack.push(emptyTuple);
      case 0x85: // TUPLE1
        return this.#pushTuple([stack.pop()]);
      case 0x86: { // TUPLE2
        const second = stack.pop();
        return this.#pushTuple([stack.pop(), second]);
      }
      case 0x87: { // TUPLE3
        const third = stack.pop(), second = stack.pop();
        return this.#pushTuple([stack.pop(), second, third]);
      }
      case 0x74: // TUPLE
        return this.#pushTuple(stack.sinceMark());
      case 0x5d: // EMPTY_LIST
        this.#budget.spend(cost.list);
        return void stack.push(new List());
      case 0x61: { // APPEND
        const item = stack.pop();
        return this.#append([item]);
      }
      case 0x65: // APPENDS
        return this.#append(stack.sinceMark());
      case 0x7d: // EMPTY_DICT
        this.#budget.spend(cost.dict);
        return void stack.push(new Dict());
      case 0x73: { // SETITEM
        const value = stack.pop(), key = stack.pop();
        return this.#setItems([key, value]);
      }
      case 0x75: // SETITEMS
        return this.#setItems(stack.sinceMark());
      case 0x8f: // EMPTY_SET
        return void stack.push(opaque);
      case 0x90: // ADDITEMS
        stack.sinceMark();
        return void stack.top(Opaque, "set");
      case 0x91: // FROZENSET
        stack.sinceMark();
        return void stack.push(opaque);

      case 0x71: // BINPUT
        return stack.remember(view.getUint8(input.take(1)));
      case 0x72: // LONG_BINPUT
        return stack.remember(view.getUint32(input.take(4), true));
      case 0x94: // MEMOIZE
        return stack.remember(stack.memoSize);
      case 0x68: // BINGET
        return stack.recall(view.getUint8(input.take(1)));
      case 0x6a: // LONG_BINGET
        return stack.recall(view.getUint32(input.take(4), true));

      case 0x63: { // GLOBAL
        const module = input.line(), name = input.line();
        return void stack.push(this.#global(module, name));
      }
      case 0x93: { // STACK_GLOBAL
        const name = stack.pop(), module = stack.pop();
        return void stack.push(this.#global(module, name));
      }
      case 0x92: // NEWOBJ_EX, with keyword arguments
        stack.pop();
        return this.#call();
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        return this.#call();
      case 0x62: { // BUILD
        const state = stack.pop(), object = stack.pop();
        this.host.build(object, state);
        return void stack.push(object);
      }
      case 0x51: // BINPERSID
        return void stack.push(this.host.persistentLoad(stack.pop()));
    }
    throw this.#unsupported(opcode);
  }

  #skipBytes(length: number): void {
    this.#input.take(length);
    this.#stack.push(opaque);
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
    const list = this.#stack.top(List, "list");
    if (list instanceof Opaque) return;
    this.#budget.spend((list.isEmpty ? cost.firstItem : 0) + cost.item * items.length);
    for (const item of items) list.items.push(item);
  }

  #setItems(items: readonly Value[]): void {
    const dict = this.#stack.top(Dict, "dict");
    if (items.length % 2) throw this.#damaged("has a key without a value");
    if (dict instanceof Opaque) return;
    this.#budget.spend((dict.isEmpty ? cost.firstEntry : 0) + cost.entry * items.length / 2);
    for (let i = 0; i < items.length; i += 2) {
      this.#budget.spend(keyCost(items[i]));
      dict.set(items[i], items[i + 1]);
    }
  }

  /** Calls the class or function on the stack with the tuple above it. */
  #call(): void {
    const args = this.#stack.pop(), callee = this.#stack.pop();
    if (!(callee instanceof Global && args instanceof Tuple)) {
      throw this.#damaged("calls something that is not callable");
    }
    this.#stack.push(this.host.call(callee.name, args.items));
  }

  #global(module: Value, name: Value): Global {
    if (typeof module !== "string" || typeof name !== "string") {
      throw this.#damaged("has a global whose name is not text");
    }
    const fullName = `${module}.${name}`;
    const known = this.#globals.get(fullName);
    if (known) return known;
    if (!this.host.allows(fullName)) throw this.#refusal(fullName);
    const global = new Global(fullName);
    this.#globals.set(fullName, global);
    return global;
  }

  /** The error for a name that the host does not allow. */
  #refusal(fullName: string): FileError {
    const uses = escapeText(fullName);
    const reason = this.#holdsModule()
      ? `contains a whole pickled model (it uses ${uses}), not only weights: ` +
        "save model.state_dict() instead"
      : fullName.startsWith("torch._utils._rebuild_")
      ? `holds a tensor of another kind (it uses ${uses}): save dense tensors of floats`
      : `the pickle uses ${uses}, which weights never need: save model.state_dict() alone`;
    return new FileError(this.file, `${reason}; nothing was executed`);
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

  #damaged(what: string): FileError {
    return damagedPickle(this.file, what);
  }
}
