import { FileError } from "../../../src/errors.ts";
import { type ByteSource, bytesSource, openWeights } from "../../../src/weights/mod.ts";
import { OnnxFile } from "../../../src/weights/onnx/reader.ts";
import { assert, assertAllClose, assertEquals, assertRejects } from "../../assert.ts";
import { bytes, open, openFixture, readAll } from "../helpers.ts";
import {
  field,
  float,
  floats,
  halves,
  int,
  integers,
  node,
  onnx,
  port,
  raw,
  tensor,
  varint,
} from "./helpers.ts";

const fixture = (name: string) => new URL(`../../fixtures/onnx/${name}`, import.meta.url);

/** Asserts that opening a file fails for this reason. */
async function assertRejected(file: Uint8Array, reason: string): Promise<void> {
  const error = await assertRejects(() => open(file), FileError);
  assertEquals(error.message, `x: ${reason}`);
}

Deno.test("openWeights() reads the state dict from the initialisers of a PyTorch export", async () => {
  using expected = await openFixture("../models/narrow_alexnet.pth");
  for (const name of ["torch.onnx", "torch_training.onnx"]) {
    using file = await openWeights(bytesSource(await Deno.readFile(fixture(name)), name));
    assertEquals([file.format, file.name, file.metadata.size], ["onnx", name, 0]);
    for (const entry of expected.entries.values()) {
      assertEquals(file.entries.get(entry.name), entry);
      assertEquals(await readAll(file, entry.name), await readAll(expected, entry.name));
    }
  }
});

Deno.test("read() reads ONNX tensors in every encoding", async () => {
  const values = [1, -2, 0.5, 3];
  const packed = (number: number, ...list: number[]) => field(number, ...list.map(varint));
  const stored: Record<string, Uint8Array<ArrayBuffer>> = {
    raw: floats("raw", [4], ...values),
    floats: tensor("floats", [4], 1, field(4, new Uint8Array(new Float32Array(values).buffer))),
    doubles: tensor("doubles", [4], 11, field(10, new Uint8Array(new Float64Array(values).buffer))),
    halves: tensor("halves", [4], 10, packed(5, 0x3c00, 0xc000, 0x3800, 0x4200)),
    "one by one": tensor(
      "one by one",
      [4],
      16,
      ...[0x3f80, 0xc000, 0x3f00, 0x4040].map((bits) => int(5, bits)),
    ),
    matrix: bytes(field(1, varint(2), varint(2)), int(2, 1), field(8, "matrix"), raw(...values)),
  };
  using file = await open(onnx({ tensors: Object.values(stored) }));
  for (const name of Object.keys(stored)) assertEquals([...await readAll(file, name)], values);
  assertEquals(file.entries.get("matrix")!.shape, [2, 2]);
  assertEquals(
    file.entries.values().map(({ dtype }) => dtype).toArray(),
    ["F32", "F32", "F64", "F16", "BF16", "F32"],
  );
});

Deno.test("openWeights() finds constants: held by a node, created from a shape, renamed, cast", async () => {
  using file = await open(onnx({
    nodes: [
      node("Constant", [], ["a"], { value: floats("", [2], 1, 2) }),
      node("Constant", [], ["b"], { value_float: { float: 0.25 } }),
      node("ConstantOfShape", ["shape"], ["c"], { value: floats("", [1], 7) }),
      node("ConstantOfShape", ["shape"], ["zeros"]),
      node("Identity", ["a"], ["d"]),
      node("Cast", ["half"], ["e"], { to: 1 }),
      node("Relu", ["x"], ["y"]),
      node("Identity", ["y"], ["z"]),
    ],
    tensors: [integers("shape", 2, 3), tensor("half", [1], 10, int(5, 0x3800))],
    inputs: [port("x", 1)],
  }));
  assertEquals(
    file.entries.values().map(({ name, shape }) => [name, ...shape]).toArray(),
    [["shape", 2], ["half", 1], ["a", 2], ["b"], ["c", 2, 3], ["zeros", 2, 3], ["d", 2], ["e", 1]],
  );
  const expected = { a: [1, 2], b: [0.25], c: Array(6).fill(7), zeros: Array(6).fill(0) };
  for (const [name, values] of Object.entries({ ...expected, d: [1, 2], e: [0.5] })) {
    assertAllClose(await readAll(file, name), values);
  }
});

Deno.test("openWeights() reads only the descriptions of an ONNX file, in order and through a window", async () => {
  const tensors = Array.from({ length: 5 }, (_, i) => halves(`w${i}`, 300, 300));
  const whole = onnx({ nodes: [node("Relu", ["x"], ["y"])], tensors, inputs: [port("x", 1)] });
  const inner = bytesSource(whole);
  let total = 0;
  const offsets: number[] = [];
  const counting: ByteSource = {
    ...inner,
    read(offset, into) {
      total += into.length;
      offsets.push(offset);
      return inner.read(offset, into);
    },
  };
  using file = await openWeights(counting);
  assertEquals([file.entries.size, whole.length > 1.8e6, total < 40_000], [5, true, true]);
  assertEquals(offsets, offsets.toSorted((a, b) => a - b));
  assertEquals((await readAll(file, "w4"))[89_999], 0.5);
});

Deno.test("openWeights() rejects an ONNX file without its weights", async () => {
  const location = field(13, field(1, "location"), field(2, "weights.bin"));
  await assertRejected(
    onnx({ tensors: [tensor("a", [1], 1, location)] }),
    'needs the file weights.bin: pass it as files: { "weights.bin": … }',
  );
  await assertRejected(
    onnx({ tensors: [tensor("a", [1], 1, int(14, 1))] }),
    "a has no location: damaged",
  );
  await assertRejected(onnx({}), "holds no tensors");
  await assertRejected(
    onnx({ more: field(15, "") }),
    "has sparse tensors, which are not supported",
  );
  await assertRejected(
    bytes(int(1, 8), field(2, "test")),
    "is an ONNX file without a graph: damaged",
  );
});

Deno.test("openWeights() rejects an inconsistent ONNX file", async () => {
  const one = (code: Uint8Array<ArrayBuffer>) => onnx({ tensors: [code] });
  await assertRejected(
    one(floats("a", [3], 1, 2)),
    "a has 8 bytes, but its shape and dtype need 12: damaged",
  );
  await assertRejected(
    one(floats("a", [1e6, 1e6], 1)),
    "a has 4 bytes, but its shape and dtype need 4000000000000: damaged",
  );
  await assertRejected(one(floats("a", [-1], 1)), "a has an invalid size: damaged");
  await assertRejected(
    one(floats("a", Array(9).fill(2 ** 31), 1)),
    "a has an impossible shape: damaged",
  );
  await assertRejected(
    one(tensor("a", [2], 10, int(5, 1))),
    "a has 2 bytes, but its shape and dtype need 4: damaged",
  );
  await assertRejected(
    one(tensor("a", [1], 1, float(4, 1))),
    "has a fixed32 field where a bytes field is expected: damaged",
  );
  await assertRejected(
    one(tensor("a", [1], 8, field(6, "text"))),
    "a has data type 8, which is not supported",
  );
  await assertRejected(
    one(tensor("a", [1], 1, field(3, int(1, 0)), raw(1))),
    "has a segmented tensor, which is not supported",
  );
  await assertRejected(one(floats("", [1], 1)), "has a tensor without a name: damaged");
  await assertRejected(
    one(tensor("a", [1], 1, field(8, [0xff]))),
    "has a name that is not UTF-8: damaged",
  );
  await assertRejected(
    onnx({ tensors: [floats("a", [1], 1), floats("a", [1], 1)] }),
    "has two tensors named a: damaged",
  );
  await assertRejected(
    onnx({ tensors: [floats("a", [1], 1)], nodes: [node("Identity", ["a"], ["a"])] }),
    "has two tensors named a: damaged",
  );
  await assertRejected(bytes(int(1, 8), field(7), field(7)), "has two graphs: damaged");
  await assertRejected(
    bytes(int(1, 8), field(2), int(7, 1)),
    "has a varint field where a bytes field is expected: damaged",
  );
  await assertRejected(
    onnx({ nodes: [node("Constant", [], ["a"], { value: "text" })] }),
    "a is an unsupported kind of constant (value)",
  );
  for (const [key, value] of [["value", { float: 0.5 }], ["value_int", { float: 0.5 }]] as const) {
    await assertRejected(
      onnx({ nodes: [node("Constant", [], ["a"], { [key]: value })] }),
      `a is an unsupported kind of constant (${key})`,
    );
  }
});

Deno.test("openWeights() rejects damaged protocol buffers", async () => {
  const graph = (...content: (string | ArrayLike<number>)[]) =>
    bytes(int(1, 8), field(7, ...content));
  await assertRejected(graph([0x2b]), "has a field of an unknown type: damaged"); // a group
  await assertRejected(graph([0x02, 0]), "has a field of an unknown type: damaged"); // number 0
  await assertRejected(graph([0x2a, 100]), "ends inside a field: truncated or damaged");
  await assertRejected(
    bytes(graph([0x2a, 5]), "later"),
    "has a field that is longer than its message: damaged",
  );
  await assertRejected(graph([0x2a]), "has an unterminated number: truncated or damaged");
  await assertRejected(
    graph([0x28], Array(10).fill(0xff), [1]),
    "has an unterminated number: truncated or damaged",
  );
  await assertRejected(
    graph([0x2a], Array(9).fill(0xff), [1]),
    "ends inside a field: truncated or damaged",
  );
  const numbers = tensor("a", [1], 7, field(7, Array(9).fill(0xff)));
  await assertRejected(
    onnx({ tensors: [numbers] }),
    "has an unterminated number: truncated or damaged",
  );
});

Deno.test("openWeights() rejects an ONNX file that would take too much memory or time", async () => {
  const many = (key: number) =>
    bytes(int(1, 8), field(7, new Uint8Array(600_000).map((_, i) => i % 2 ? 0 : key)));
  await assertRejected(many(0x52), "has more than 262144 fields");
  for (const key of [0x0a, 0x5a]) { // nodes and inputs
    await assertRejected(many(key), "its graph takes more than 16 MiB of memory");
  }
  const names = Array(3).fill(node("Relu", ["x".repeat(2e6)], []));
  await assertRejected(onnx({ nodes: names }), "has more than 4194304 bytes of names and numbers");
  const constants = (...shape: number[]) =>
    onnx({
      tensors: [integers("shape", ...shape)],
      nodes: ["a", "b"].map((name) => node("ConstantOfShape", ["shape"], [name])),
    });
  await assertRejected(constants(4e7), "creates more than 268435456 bytes of constants");
  await assertRejected(constants(2 ** 40, 2 ** 40), "a has an impossible shape: damaged");
  const deep = Array(1000).fill(6).reduce((inner, number) => field(number, inner), bytes());
  using file = await open(onnx({ nodes: [field(5, deep)], tensors: [floats("a", [1], 1)] }));
  assertEquals(file.entries.size, 1);
});

Deno.test("an ONNX file whose ninth byte is a brace is no safetensors file", async () => {
  const graph = field(7, field(5, floats("a", [1], 1)));
  const file = bytes(int(1, 8), field(2, "a\0bc{"), graph, field(8, int(2, 13)));
  assertEquals(file[8], 0x7b);
  using opened = await openWeights(bytesSource(file));
  assertEquals(opened.format, "onnx");
});

Deno.test("values that float32 cannot hold are refused, dequantised and multiplied", async () => {
  const tensors = [tensor("q", [2], 3, field(9, [1, 127])), floats("s", [], 2 ** 126)];
  await assertRejected(
    onnx({ nodes: [node("DequantizeLinear", ["q", "s"], ["w"])], tensors }),
    "q: 127 · 8.507059173023462e+37 is too large for float32",
  );
  const file = await open(onnx({ tensors: [floats("a", [2], 1, -(2 ** 127))] }));
  assert(file instanceof OnnxFile);
  const view = (factor: number) =>
    file.mapParameters(new Map([["p", { tensor: "a", shape: [2], factor }]]));
  using fits = view(-1.5), large = view(2);
  assertEquals(await readAll(fits, "p"), Float32Array.of(-1.5, 1.5 * 2 ** 127));
  await assertRejects(() => readAll(large, "p"), FileError, `p: ${-(2 ** 128)} is too large`);
});
