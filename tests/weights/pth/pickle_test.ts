import { FileError } from "../../../src/errors.ts";
import { unpickle } from "../../../src/weights/pth/pickle.ts";
import { TruncatedPickle } from "../../../src/weights/pth/pickle_bytes.ts";
import { type Dict, type List, opaque, Tuple } from "../../../src/weights/pth/pickle_values.ts";
import { assertEquals, assertThrows } from "../../assert.ts";
import { DescriptionBudget } from "../../../src/weights/io/description_budget.ts";
import { bytes, le, py } from "../helpers.ts";

const host = {
  get budget() {
    return new DescriptionBudget("x", "its pickle");
  },
  allows: (name: string) => name === "allowed.thing",
  call: (_: string, args: readonly unknown[]) => new Tuple(args as never),
  persistentLoad: (id: unknown) => id as never,
  build() {},
};

function load(code: Uint8Array) {
  return unpickle(py.pickle(code), 0, host, "x").value;
}

function assertRejected(code: Uint8Array, reason: string): void {
  const error = assertThrows(() => load(code), FileError);
  assertEquals(error.message, `x: the pickle ${reason}`);
}

Deno.test("unpickle() reads numbers of every width", () => {
  assertEquals(load(bytes("K", [200])), 200);
  assertEquals(load(bytes("M", [1, 2])), 513);
  assertEquals(load(bytes("J", [0xff, 0xff, 0xff, 0xff])), -1);
  assertEquals(load(bytes([0x8a, 0])), 0);
  assertEquals(load(bytes([0x8a, 1, 0x80])), -128);
  assertEquals(load(bytes([0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1])), 1n << 64n);
  assertEquals(load(bytes([0x8a, 16], new Uint8Array(16).fill(255))), -1);
  assertEquals(load(bytes([0x8a, 9], new Uint8Array(8), [0xff])), -(1n << 64n));
  assertEquals(load(bytes([0x8b], le(2, 4), [0, 0x80])), -32768);
  assertEquals(load(bytes([0x8a, 255], new Uint8Array(255).fill(255))), opaque);
  assertEquals(load(bytes("G", [0xbf, 0xf8, 0, 0, 0, 0, 0, 0])), -1.5);
});

Deno.test("unpickle() reads text, bytes, frames and the memo", () => {
  assertEquals(load(bytes([0x95], le(3, 8), [0x8c, 2], "é")), "é");
  assertEquals(load(bytes("T", le(1, 4), [0xe9])), "é");
  assertEquals(load(bytes([0x8d], le(1, 8), "x")), "x");
  const long = "é".repeat(100);
  assertEquals(load(py.text(long)), long);
  assertEquals(
    load(bytes("K", [5, 0x94], "K", [6], "q", [9], "h", [0], "h", [9, 0x87])),
    new Tuple([6, 5, 6]),
  );
  assertEquals(
    load(bytes("K", [5], "r", le(70000, 4), "j", le(70000, 4), [0x86])),
    new Tuple([5, 5]),
  );
});

Deno.test("unpickle() reads bytes, sets and long integers as opaque values", () => {
  for (
    const code of [
      bytes("C", [1, 7]),
      bytes("B", le(2, 4), "ab"),
      bytes([0x8e], le(2, 8), "ab"),
      bytes([0x96], le(2, 8), "ab"),
      bytes([0x8f, 0x28], "K", [1], "K", [2, 0x90]), // {1, 2}
      bytes("(K", [1, 0x91]), // frozenset({1})
      bytes([0x8f], "N", "q\0", "0"), // POP removes the None
    ]
  ) assertEquals(load(code), opaque);
  // Items and state of an opaque value are dropped.
  const items = bytes([0x8f], py.text("a"), "Ns", [0x28], py.text("b"), "Nu", "Na", "(NNe", "}b");
  assertEquals(load(items), opaque);
});

Deno.test("unpickle() reads classes that are instantiated, POP, POP_MARK and DUP", () => {
  const thing = py.global("allowed", "thing");
  assertEquals(load(bytes(thing, "K", [1, 0x85, 0x81])), new Tuple([1]));
  assertEquals(load(bytes(thing, "K", [1, 0x85], "}", [0x92])), new Tuple([1]));
  assertEquals(load(bytes("K", [1], "(K", [2], "1")), 1);
  assertEquals(load(bytes("K", [1], "K", [2], "0")), 1);
  assertEquals(load(bytes("K", [1], "(0")), 1);
  assertEquals(load(bytes("K", [1], "2", [0x86])), new Tuple([1, 1]));
});

Deno.test("unpickle() treats __proto__ as an ordinary key", () => {
  const dict = load(
    py.dict([py.text("__proto__"), py.dict([py.text("polluted"), py.int(1)])]),
  ) as Dict;
  assertEquals([...dict.map.keys()], ["__proto__"]);
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("unpickle() rejects unknown opcodes and protocols", () => {
  for (const opcode of [0x82, 0x83, 0x69, 0x6f, 0x50, 0x49, 0x53, 0x97, 0x98, 0xff]) {
    const hex = opcode.toString(16);
    assertRejected(
      bytes("N", [opcode], "NNNNNNNN"),
      `uses opcode 0x${hex}, which weights never need: rejected, nothing was executed`,
    );
  }
  assertRejected(bytes([0x80, 9]), "claims protocol 9: damaged");
});

Deno.test("unpickle() rejects calls of anything but an allowed name", () => {
  const notCallable = "calls something that is not callable: damaged";
  assertRejected(bytes("N)R"), notCallable);
  assertRejected(bytes(py.text("os.system"), ")R"), notCallable);
  assertRejected(bytes(py.global("allowed", "thing"), "NR"), notCallable);
  assertRejected(bytes("NN", [0x93]), "has a global whose name is not text: damaged");
  assertEquals(load(bytes(py.global("allowed", "thing"), ")R")), new Tuple([]));
});

Deno.test("unpickle() rejects invalid stacks, memo entries and text", () => {
  const empty = "pops from an empty stack: damaged";
  for (
    const code of [
      "",
      "t",
      "R",
      "b",
      "Q",
      "a",
      "0",
      "1",
      "2",
      bytes([0x90]),
      bytes([0x91]),
      "(R",
      "N(R",
      "]N(a",
      "N(b",
      "(NR",
      "q\0",
    ]
  ) {
    assertRejected(bytes(code), empty);
  }
  assertRejected(bytes("(Nu"), "adds an item to something that is not a dict: damaged");
  assertRejected(bytes("}(Nu"), "has a key without a value: damaged");
  assertRejected(bytes("NNa"), "adds an item to something that is not a list: damaged");
  assertRejected(bytes("h", [3]), "reads memo entry 3, which was never set: damaged");
  assertRejected(bytes("X", le(1, 4), [0xff]), "has text that is not UTF-8: damaged");
  assertRejected(bytes("c", "a".repeat(300)), "has an unterminated name: damaged");
});

Deno.test("unpickle() throws TruncatedPickle when the bytes end first, whatever length they claim", () => {
  for (
    const code of [
      bytes("X", le(0xffffffff, 4)),
      bytes([0x8a, 255]),
      bytes("ca"),
      bytes("B", le(2 ** 31, 4)),
    ]
  ) {
    assertThrows(() => unpickle(bytes([0x80, 2], code), 0, host, "x"), TruncatedPickle);
  }
});

Deno.test("unpickle() reads a list that contains itself, and lists nested 50 000 deep", () => {
  const list = load(bytes("]q\0h\0a")) as List;
  assertEquals(list.items[0] === list, true);
  const deep = new Uint8Array(100_000).fill(0x5d, 0, 50_000).fill(0x61, 50_000);
  assertEquals((load(deep.subarray(0, -1)) as List).items.length, 1);
});

Deno.test("unpickle() stops after a million instructions", () => {
  assertRejected(
    new Uint8Array(1_500_000).fill(0x29),
    "has more than 1000000 instructions: damaged",
  );
});
