import { FileError } from "../../../src/errors.ts";
import { PickleEnd, unpickle } from "../../../src/weights/pth/pickle.ts";
import { type Dict, type List, Tuple } from "../../../src/weights/pth/pickle_values.ts";
import { assertEquals, assertThrows } from "../../assert.ts";
import { bytes, le, py } from "../helpers.ts";

const nothing = {
  allows: (name: string) => name === "allowed.thing",
  call: (_: string, args: readonly unknown[]) => new Tuple(args as never),
  persistent: (id: unknown) => id as never,
  build() {},
};

function load(code: Uint8Array) {
  return unpickle(py.pickle(code), 0, nothing, "x").value;
}

function assertRefused(code: Uint8Array, reason: string): void {
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
  assertEquals(load(bytes([0x8a, 255], new Uint8Array(255).fill(255))), -1);
  assertEquals(load(bytes("G", [0xbf, 0xf8, 0, 0, 0, 0, 0, 0])), -1.5);
});

Deno.test("unpickle() reads text, bytes, frames and the memo", () => {
  assertEquals(load(bytes([0x95], le(3, 8), [0x8c, 2], "é")), "é");
  assertEquals(load(bytes("T", le(1, 4), [0xe9])), "é");
  assertEquals(load(bytes("C", [1, 7])), new Uint8Array([7]));
  assertEquals(
    load(bytes("K", [5, 0x94], "K", [6], "q", [9], "h", [0], "h", [9, 0x87])),
    new Tuple([6, 5, 6]),
  );
  assertEquals(
    load(bytes("K", [5], "r", le(70000, 4), "j", le(70000, 4), [0x86])),
    new Tuple([5, 5]),
  );
});

Deno.test("unpickle() keeps __proto__ as a key like any other", () => {
  const dict = load(
    py.dict([py.text("__proto__"), py.dict([py.text("polluted"), py.int(1)])]),
  ) as Dict;
  assertEquals([...dict.map.keys()], ["__proto__"]);
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("unpickle() refuses what it does not know", () => {
  for (const opcode of [0x81, 0x92, 0x82, 0x69, 0x6f, 0x50, 0x32, 0x30, 0x8b, 0x8f, 0x97, 0xff]) {
    const hex = opcode.toString(16);
    assertRefused(
      bytes("N", [opcode], "NNNNNNNN"),
      `uses opcode 0x${hex}, which weights never need; refused, nothing was executed`,
    );
  }
  assertRefused(bytes([0x80, 9]), "claims protocol 9: damaged");
});

Deno.test("unpickle() refuses to call what is no allowed name", () => {
  const wrong = "calls something that cannot be called: damaged";
  assertRefused(bytes("N)R"), wrong);
  assertRefused(bytes(py.text("os.system"), ")R"), wrong);
  assertRefused(bytes(py.global("allowed", "thing"), "NR"), wrong);
  assertRefused(bytes("NN", [0x93]), "names something by what is not text: damaged");
  assertEquals(load(bytes(py.global("allowed", "thing"), ")R")), new Tuple([]));
});

Deno.test("unpickle() refuses a stack that does not add up", () => {
  const empty = "takes a value from an empty stack: damaged";
  for (const code of ["", "t", "R", "b", "Q", "a", "(R", "N(R", "]N(a", "N(b", "(NR", "q\0"]) {
    assertRefused(bytes(code), empty);
  }
  assertRefused(bytes("(Nu"), "puts an item into something that is no dict: damaged");
  assertRefused(bytes("}(Nu"), "has a key without a value: damaged");
  assertRefused(bytes("NNa"), "puts an item into something that is no list: damaged");
  assertRefused(bytes("h", [3]), "recalls value 3, which it never kept: damaged");
  assertRefused(bytes("X", le(1, 4), [0xff]), "has text that is not UTF-8: damaged");
  assertRefused(bytes("c", "a".repeat(300)), "has a name without an end: damaged");
});

Deno.test("unpickle() says when the bytes end first, whatever length they claim", () => {
  for (
    const code of [
      bytes("X", le(0xffffffff, 4)),
      bytes([0x8a, 255]),
      bytes("ca"),
      bytes("B", le(2 ** 31, 4)),
    ]
  ) {
    assertThrows(() => unpickle(bytes([0x80, 2], code), 0, nothing, "x"), PickleEnd);
  }
});

Deno.test("unpickle() takes a list that contains itself, and lists nested 400 000 deep", () => {
  const list = load(bytes("]q\0h\0a")) as List;
  assertEquals(list.items[0] === list, true);
  const deep = new Uint8Array(800_000).fill(0x5d, 0, 400_000).fill(0x61, 400_000);
  assertEquals((load(deep.subarray(0, -1)) as List).items.length, 1);
});

Deno.test("unpickle() stops after a million instructions", () => {
  assertRefused(
    new Uint8Array(1_500_000).fill(0x29),
    "has more than 1000000 instructions: damaged",
  );
});
