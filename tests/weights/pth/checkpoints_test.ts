/** Checkpoints as training tools write them: tests/fixtures/weights/make_fault_fixtures.py. */

import { FileError } from "../../../src/errors.ts";
import { bytesSource, openWeights, writeSafetensors } from "../../../src/weights/mod.ts";
import { matchNames } from "../../../src/weights/match_names.ts";
import type { StoredTensor } from "../../../src/weights/layout.ts";
import { checkReads } from "../../../src/weights/pth/state_dict.ts";
import { assertEquals, assertMatch, assertRejects, assertThrows } from "../../assert.ts";
import {
  bytes,
  chunkedSource,
  countedSource,
  fixture,
  le,
  legacy,
  open,
  pth,
  py,
  readAll,
  stateOf,
  tensor,
} from "../helpers.ts";

const { call, dict, global, int, list, none, text, tuple } = py;

for (
  const name of [
    "ck_lightning.ckpt",
    "ck_compiled.pth",
    "ck_expand.pth",
    "ck_namespace.pth",
    "ck_numpy_scalar.pth",
    "ck_wrap_net.pth",
    "ck_wrap_weights.pth",
  ]
) {
  Deno.test(`${name} has the weights of the model`, async () => {
    const file = await fixture(`faults/${name}`);
    for (const source of [bytesSource(file), await chunkedSource(file)]) {
      using weights = await openWeights(source);
      assertEquals(await readAll(weights, "features.0.weight"), new Float32Array(6).fill(1));
      assertEquals(await readAll(weights, "features.0.bias"), new Float32Array(2));
      assertEquals(weights.entries.get("features.0.weight")!.shape, [2, 3]);
    }
  });
}

/** The names of the tensors of a pickled state dict in both formats. */
async function namesIn(code: Uint8Array): Promise<string[]> {
  using zipped = await open(pth(code)), old = await open(legacy(code));
  using streamed = await openWeights(await chunkedSource(pth(code)));
  assertEquals([...old.entries.keys()], [...zipped.entries.keys()]);
  assertEquals([...streamed.entries.keys()], [...zipped.entries.keys()]);
  assertEquals((await readAll(zipped, zipped.order[0])).length, 4);
  return [...zipped.entries.keys()];
}

/** A state dict with these names. */
const named = (...names: string[]) =>
  dict(...names.map((name) => [text(name), tensor()] as [Uint8Array, Uint8Array]));

Deno.test("prefixes of training tools are removed in every combination", async () => {
  const names = ["0.weight", "0.bias"];
  for (
    const prefix of [
      ...["model.", "module.", "_orig_mod.", "model._orig_mod.", "_orig_mod.module."],
      ...["module.model.", "model.model.", "module._orig_mod.model."],
      ...["net.", "network.", "model.backbone."],
    ]
  ) {
    assertEquals(await namesIn(named(...names.map((name) => prefix + name))), names);
    const data = new Float32Array(1);
    const stored = names.map((name) =>
      ({ name: prefix + name, dtype: "F32", shape: [1], data }) as const
    );
    using file = await open(writeSafetensors(stored));
    assertEquals([...file.entries.keys()].sort(), [...names].sort());
    assertEquals(file.entries.get("0.bias")!.name, "0.bias");
  }
  assertEquals(await namesIn(named("0._orig_mod.weight", "1.bias")), ["0.weight", "1.bias"]);
  const parallel = named("features.module.0.weight", "classifier.1.bias");
  assertEquals(await namesIn(parallel), ["features.0.weight", "classifier.1.bias"]);
});

Deno.test("losses, metrics and averages beside a network are left out", async () => {
  for (
    const beside of [
      ...["criterion.weight", "loss_fn.pos_weight", "ce_loss.weight", "train_metrics.total"],
      ...["ema.0.weight", "ema_model.module.0.weight", "model_ema.0.weight"],
    ]
  ) {
    for (const prefix of ["model.", "net.", "net._orig_mod."]) {
      const names = [`${prefix}0.weight`, beside, `${prefix}0.bias`];
      assertEquals(await namesIn(named(...names)), ["0.weight", "0.bias"], beside);
    }
    const both = ["module.model.0.weight", `module.${beside}`];
    assertEquals(await namesIn(named(...both)), ["0.weight"], beside);
  }
  for (
    const names of [
      ["0.weight", "ema.weight"], // may be a layer
      ["model.0.weight", "head.weight", "criterion.weight"],
      ["model.0.weight", "cinema.0.weight"],
      ["backbone.0.weight", "ema.conv.weight"], // a layer
      ["backbone.0.weight", "metric_fc.weight"], // that of ArcFace
      ["backbone.0.weight", "loss_net.0.weight"],
      ["backbone.0.weight", "ema_head.0.weight"],
      ["criterion.0.weight", "ema.0.weight"],
    ]
  ) assertEquals(await namesIn(named(...names)), names);
  // A layer inside the network.
  assertEquals(await namesIn(named("model.0.weight", "model.ema.gain")), ["0.weight", "ema.gain"]);
});

Deno.test("names without a common prefix stay as they are", async () => {
  for (
    const names of [
      ["model.a", "b"],
      ["model.", "model.a"], // nothing would be left
      ["0._orig_mod.a", "0.a"], // would be the same
      ["models.a", "models.b"],
      ["a.module.b", "features.a.module.b"], // layers of that name
    ]
  ) assertEquals(await namesIn(named(...names)), names);
});

Deno.test("the count of an averaged model has no prefix", async () => {
  const count = tensor({
    type: global("torch", "LongStorage"),
    key: "1",
    count: 1,
    shape: [],
    stride: [],
  });
  const averaged = dict([text("n_averaged"), count], [text("module.a"), tensor()]);
  using file = await open(pth(averaged, undefined, [{ name: "x/data/1", data: le(5, 8) }]));
  assertEquals([...file.entries.keys()], ["n_averaged", "a"]);
});

Deno.test("a model whose own names start with a prefix finds them", async () => {
  using file = await open(pth(named("module.a")));
  assertEquals([...file.entries.keys()], ["a"]);
  const matched = matchNames(file, ["module.a"]);
  assertEquals([...matched.entries.keys(), ...matched.order], ["module.a", "module.a"]);
  assertEquals(await readAll(matched, "module.a"), new Float32Array([1, 2, 3, 4]));
  assertEquals(matchNames(file, ["a"]), file);
});

const optimizer = dict(
  [text("state"), dict([text("a"), stateOf(tensor())])],
  [text("param_groups"), list()],
);

Deno.test("the only nested dict of tensors is the state dict", async () => {
  const loss = tensor({ shape: [], stride: [] });
  const random = tensor({ type: global("torch", "ByteStorage"), key: "1" });
  for (
    const code of [
      dict([text("net"), named("w")]),
      dict([text("epoch"), int(3)], [text("any name"), named("w")], [text("optim"), optimizer]),
      dict([text("outer"), dict([text("inner"), dict([text("net"), named("w")])])]),
      dict([text("best_loss"), loss], [text("net"), named("w")]),
      dict([text("rng_state"), random], [text("net"), named("w")]),
      dict([text("state_dict"), dict([text("net"), named("w")])]),
      dict([text("state_dict"), named("w")], [text("ema"), named("other")]),
    ]
  ) assertEquals(await namesIn(code), ["w"]);
});

Deno.test("the state dict is the larger of two dicts, one in the other", async () => {
  const two = dict([text("w"), tensor()], [text("b"), tensor()]);
  assertEquals(await namesIn(dict([text("mean"), tensor()], [text("net"), two])), ["w", "b"]);
  const extra = dict([text("w"), tensor()], [text("_extra_state"), named("scale")]);
  assertEquals(await namesIn(extra), ["w"]);
});

Deno.test("several nested state dicts are named in the error", async () => {
  const both = dict(
    [text("generator"), named("w")],
    [text("nets"), dict([text("critic"), named("v")])],
  );
  const many = dict(
    ...Array.from({ length: 7 }, (_, i) => [text(`m${i}`), named("w")] as [Uint8Array, Uint8Array]),
  );
  for (
    const [code, names] of [
      [both, "generator, nets.critic"],
      [many, "m0, m1, m2, m3 and 3 more"],
    ] as const
  ) {
    for (const file of [pth(code), legacy(code)]) {
      const error = await assertRejects(() => open(file), FileError);
      assertEquals(
        error.message,
        `x: holds several state dicts (${names}): save only one of them`,
      );
    }
  }
  const error = await assertRejects(() => open(pth(dict([text("a"), int(1)]))), FileError);
  assertEquals(error.message, "x: holds no tensors: not a state dict");
});

Deno.test("a state dict may be a defaultdict or another subclass of dict", async () => {
  const items = bytes("(", text("a"), tensor(), "u");
  for (
    const code of [
      bytes(call(global("collections", "defaultdict"), global("__builtin__", "list")), items),
      call(global("collections", "Counter"), stateOf(tensor())),
      bytes(global("easydict", "EasyDict"), ")", [0x81], items),
    ]
  ) assertEquals(await namesIn(code), ["a"]);
});

Deno.test("values beside the weights are placeholders, and nothing is called", async () => {
  const latin = call(global("_codecs", "encode"), text("\u0001"), text("latin1"));
  const dtype = bytes(
    call(global("numpy", "dtype"), text("f8"), int(0), int(1)),
    tuple(int(3), text("<"), none, none, none, int(-1), int(-1), int(0)),
    "b",
  );
  const newObject = (module: string, name: string, ...args: Uint8Array[]) =>
    bytes(global(module, name), tuple(...args), [0x81]);
  const values: Record<string, Uint8Array> = {
    scalar: call(global("numpy.core.multiarray", "scalar"), dtype, latin),
    scalar2: call(global("numpy._core.multiarray", "scalar"), dtype, bytes("C", [1, 7])),
    array: bytes(
      call(
        global("numpy.core.multiarray", "_reconstruct"),
        ...[global("numpy", "ndarray"), tuple(int(0)), latin],
      ),
      tuple(int(1), tuple(int(1)), dtype, py.false, latin),
      "b",
    ),
    namespace: bytes(newObject("argparse", "Namespace"), dict([text("lr"), int(1)]), "b"),
    simple: bytes(newObject("types", "SimpleNamespace"), dict([text("lr"), int(1)]), "b"),
    set: call(global("__builtin__", "set"), list(int(1), text("a"))),
    set4: bytes([0x8f], "(", int(1), int(2), [0x90]),
    frozen: bytes("(", int(1), [0x91]),
    counter: call(global("collections", "Counter"), dict([text("a"), int(2)])),
    defaults: call(global("collections", "defaultdict"), global("builtins", "int")),
    queue: call(global("collections", "deque"), list(int(1))),
    path: call(global("pathlib", "PosixPath"), text("/"), text("data")),
    path313: call(global("pathlib._local", "PosixPath"), text("data")),
    windows: call(global("pathlib", "WindowsPath"), text("C:\\")),
    date: call(global("datetime", "datetime"), bytes("C", [2, 7, 231])),
    bytes: bytes("B", le(3, 4), "abc"),
    bytearray: call(global("builtins", "bytearray"), latin),
    complex: call(global("__builtin__", "complex"), bytes("G", new Uint8Array(8))),
    uuid: bytes(newObject("uuid", "UUID"), dict([text("int"), int(1)]), "b"),
    range: call(global("__builtin__", "xrange"), int(0), int(3), int(1)),
    device: call(global("torch", "device"), text("cuda"), int(0)),
    version: newObject("torch.torch_version", "TorchVersion", text("2.1")),
    int16: newObject("numpy", "int16", int(1)),
    big: bytes([0x8a, 40], new Uint8Array(40).fill(7)),
    long: bytes([0x8b], le(300, 4), new Uint8Array(300).fill(7)),
    old: call(
      global("copy_reg", "_reconstructor"),
      ...[global("argparse", "Namespace"), global("__builtin__", "object"), none],
    ),
  };
  for (const [name, value] of Object.entries(values)) {
    const code = dict([text("state_dict"), stateOf(tensor())], [text(name), value]);
    assertEquals(await namesIn(code), ["a"], name);
  }
});

Deno.test("an expanded tensor is read, as far as its size is bounded", async () => {
  using file = await open(pth(stateOf(tensor({ shape: [1000, 2, 3], stride: [0, 1, 0] }))));
  const values = await readAll(file, "a");
  assertEquals([values.length, ...values.subarray(5994)], [6000, 1, 1, 1, 2, 2, 2]);
  for (const [shape, stride] of [[[20_000, 1000], [0, 0]], [[2 ** 30], [0]]]) {
    const large = pth(stateOf(tensor({ shape, stride })));
    const error = await assertRejects(() => open(large), FileError);
    assertEquals(
      error.message,
      `x: a [${shape.join(", ")}] is an expanded tensor (stride 0), too large for a file of ` +
        `${large.length} bytes: save it after clone()`,
    );
  }
});

Deno.test("many views of one storage are bounded", async () => {
  const views = (count: number, size: number, stride: number) => {
    const view = tensor({ count: 250_000, shape: [size], stride: [stride] });
    const entries = Array.from({ length: count }, (_, i): [Uint8Array, Uint8Array] => [
      text(`t${i}`),
      view,
    ]);
    return pth(dict(...entries), new Uint8Array(1e6));
  };
  const refusal = async (count: number, size: number, stride: number) => {
    const error = await assertRejects(() => open(views(count, size, stride)), FileError);
    return error.message.replace(/^.+t\d+ /, "");
  };
  {
    using file = await open(views(60, 250_000, 1));
    assertEquals(file.entries.size, 60);
  }
  assertMatch(
    await refusal(90, 250_000, 1),
    /^\[250000\] shares its elements with other tensors, too/,
  );
  { // what lies between them is read only once
    using file = await open(views(140, 2, 249_999));
    assertEquals(file.entries.size, 140);
  }
});

Deno.test("what is read for elements that lie apart is bounded", () => {
  const spread = (shape: number[], strides: number[], start = 0): StoredTensor => {
    const count = shape.reduce((a, b) => a * b, 1);
    const span = 4 + 4 * shape.reduce((sum, size, i) => sum + (size - 1) * strides[i], 0);
    return { name: "t", dtype: "F32", shape, strides, count, start, span };
  };
  const file = { name: "x", size: 1e6 }, message = "and others lie between each other's elements";
  const check = (tensor: StoredTensor) => checkReads([tensor], file);
  check(spread([500_000], [1000])); // 128 MB: each counts as 256 bytes
  assertThrows(() => check(spread([600_000], [1000])), FileError, message);
  check(spread([500_000, 4], [1000, 1])); // runs of four
  // elements that are not aligned with each other are never in one region
  const mixed = Array.from({ length: 1000 }, (_, i) => spread([2], [200_000], 4 * i + i % 2));
  checkReads(mixed.slice(0, 100), file);
  assertThrows(() => checkReads(mixed, file), FileError, message);
  // regions of two tensors stay in memory until both are read
  const pairs = mixed.flatMap((tensor) => [tensor, { ...tensor }]);
  checkReads(pairs.slice(0, 150), file);
  assertThrows(() => checkReads(pairs.slice(0, 200), file), FileError, message);
});

Deno.test("a fused tensor in many parts is read once", async () => {
  for (const [rows, parts, columns] of [[50, 200, 6], [600, 150, 120]]) {
    const width = parts * columns, count = rows * width;
    const data = new Float32Array(count).map((_, i) => i);
    const entries = Array.from({ length: parts }, (_, i): [Uint8Array, Uint8Array] => [
      text(`part${i}`),
      tensor({ count, shape: [rows, columns], stride: [width, 1], offset: i * columns }),
    ]);
    const source = countedSource(pth(dict(...entries), new Uint8Array(data.buffer)));
    using file = await openWeights(source);
    source.total = source.reads = 0;
    for (const [i, name] of file.order.entries()) {
      const values = await readAll(file, name);
      assertEquals([values.length, name], [rows * columns, `part${i}`]);
      for (let at = 0; at < values.length; at += columns) {
        const first = i * columns + at / columns * width;
        assertEquals([values[at], values[at + columns - 1]], [first, first + columns - 1]);
      }
    }
    assertEquals([source.reads, source.total], [1, 4 * count]);
  }
});

Deno.test("what an OrderedDict skips is bounded, however often it is passed", async () => {
  const ordered = bytes(py.global("collections", "OrderedDict"), "q\0");
  const many = (code: Uint8Array, count: number) => bytes(...Array(count).fill(code));
  const cases = [
    // a list without pairs, as many arguments
    bytes(
      "(",
      ordered,
      py.list(many(py.none, 10_000)),
      "q\x01",
      "h\0(",
      many(bytes("h\x01"), 250),
      "tRt",
    ),
    // a tuple of arguments, for many calls
    bytes(
      "(",
      ordered,
      py.tuple(many(py.none, 10_000)),
      "q\x01",
      many(bytes("h\0h\x01R"), 250),
      "t",
    ),
  ];
  for (const code of cases) {
    await assertRejects(
      () => open(pth(code)),
      FileError,
      "its pickle takes more than 16 MiB of memory",
    );
  }
});

Deno.test("long keys are bounded, however often they are used", async () => {
  const key = "a".repeat(1_000_000), many = (code: Uint8Array) => bytes(...Array(20).fill(code));
  const pairs = many(bytes("h\0N", [0x86]));
  const cases = [
    bytes(py.text(key), "q\0}(", many(bytes("h\0N")), "u"),
    bytes(
      ...[py.text(key), "q\0", py.global("collections", "OrderedDict"), "](", pairs, "e", [0x85]],
      "R",
    ),
  ];
  for (const code of cases) {
    await assertRejects(
      () => open(pth(code)),
      FileError,
      "its pickle takes more than 16 MiB of memory",
    );
  }
  const storage = stateOf(tensor({ key: "0".repeat(2000) }));
  await assertRejects(() => open(pth(storage)), FileError, "describes an impossible storage");
});
