import { FileError } from "../../../src/errors.ts";
import { assertAllClose, assertEquals, assertRejects } from "../../assert.ts";
import { openWeights } from "../../../src/weights/mod.ts";
import {
  assertFileError,
  bytes,
  chunkedSource,
  fixture,
  floats,
  legacy,
  open,
  openFixture,
  pth,
  py,
  readAll,
  stateOf,
  tensor,
  zip,
} from "../helpers.ts";

interface Expected {
  dtype: string;
  shape: number[];
  values: number[];
}
const expected: Record<string, Record<string, Expected>> = JSON.parse(
  new TextDecoder().decode(await fixture("expected.json")),
);

/** Asserts that a fixture has the tensors that PyTorch wrote to `expected.json`. */
async function assertContents(name: string, key: string): Promise<void> {
  using file = await openFixture(name);
  assertEquals([...file.entries.keys()], Object.keys(expected[key]));
  for (const [tensor, { dtype, shape, values }] of Object.entries(expected[key])) {
    assertEquals(file.entries.get(tensor), { name: tensor, dtype, shape } as never);
    if (dtype === "I64") continue;
    assertAllClose(await readAll(file, tensor), values, { name: `${name} ${tensor}` });
  }
}

for (const format of ["", "_legacy"]) {
  Deno.test(`kinds${format}.pth: all types, strides and shared storages are read like in PyTorch`, () =>
    assertContents(`kinds${format}.pth`, "kinds"));

  for (
    const name of ["model", "plain_dict", "protocol4", "checkpoint", "wrapped_model", "parallel"]
  ) {
    Deno.test(`${name}${format}.pth has the state dict of the model`, () =>
      assertContents(`${name}${format}.pth`, "model"));
  }

  for (
    const [name, reason] of [
      [
        "evil_system",
        "the pickle uses posix.system, which weights never need: save model.state_dict() alone; nothing was executed",
      ],
      [
        "evil_eval",
        "the pickle uses builtins.eval, which weights never need: save model.state_dict() alone; nothing was executed",
      ],
      [
        "whole_net",
        "contains a whole pickled model (it uses __main__.Net), not only weights: " +
        "save model.state_dict() instead; nothing was executed",
      ],
      [
        "whole_sequential",
        "contains a whole pickled model (it uses torch.nn.modules.container.Sequential), not only " +
        "weights: save model.state_dict() instead; nothing was executed",
      ],
      ["list", "holds a list, not a state dict: save model.state_dict() instead"],
      ["tensor", "holds one tensor, not a state dict: save model.state_dict() instead"],
    ]
  ) {
    Deno.test(`${name}${format}.pth is rejected with a reason`, () =>
      assertFileError(
        () => openFixture(`${name}${format}.pth`),
        `${name}${format}.pth: ${reason}`,
      ));
  }
}

Deno.test("openWeights() detects the .pth format from the bytes", async () => {
  using zipped = await openFixture("model.pth");
  using old = await openFixture("model_legacy.pth");
  assertEquals([zipped.format, old.format], ["pth", "pth-legacy"]);
  assertEquals(zipped.metadata.size, 0);
});

Deno.test("openWeights() rejects a TorchScript archive", () =>
  assertFileError(
    () => openFixture("torchscript.pt"),
    "torchscript.pt: is a TorchScript archive, a program with its weights: " +
      "save model.state_dict() with torch.save() instead",
  ));

Deno.test("openWeights() rejects os.system and the like under any name, anywhere in a pickle", async () => {
  const { call, global, text, dict, list, tuple } = py;
  const system = (module: string, name: string) =>
    call(global(module, name), text("echo executed"));
  for (
    const [module, name] of [
      ["os", "system"],
      ["posix", "system"],
      ["nt", "system"],
      [
        "torch.storage",
        "_load_from_bytes",
      ],
      ["subprocess", "Popen"],
      ["torch.hub", "load"],
      ["torch", "load"],
    ]
  ) {
    const evil = system(module, name);
    const reason = `x: the pickle uses ${module}.${name}, which weights never need: ` +
      "save model.state_dict() alone; nothing was executed";
    for (const value of [evil, stateOf(evil), list(tuple(evil)), dict([evil, py.none])]) {
      await assertFileError(() => open(pth(value)), reason);
      await assertFileError(() => open(legacy(value)), reason);
    }
  }
  await assertFileError(
    () => open(pth(stateOf(py.global("torch._utils", "_rebuild_qtensor")))),
    "x: holds a tensor of another kind (it uses torch._utils._rebuild_qtensor): " +
      "save dense tensors of floats; nothing was executed",
  );
  // In a bare pickle, and with names from the stack as in protocol 4.
  const reason =
    "x: the pickle uses os.system, which weights never need: save model.state_dict() alone; nothing was executed";
  await assertFileError(() => open(py.pickle(system("os", "system"))), reason);
  await assertFileError(() => open(pth(bytes(text("os"), text("system"), [0x93]))), reason);
});

Deno.test("control characters of a name are escaped in the message", () =>
  assertFileError(
    () => open(pth(py.global("o\x1b[2Js", "a".repeat(120)))),
    `x: the pickle uses o\\u{1b}[2Js.${"a".repeat(92)}…, which weights never need: ` +
      "save model.state_dict() alone; nothing was executed",
  ));

Deno.test("files of PyTorch 0.1 to 0.3 are read: Python 2 str, lists of pairs, Parameter", async () => {
  const { call, global, oldText, tuple, list, none } = py;
  const old = tensor({ rebuild: "_rebuild_tensor" });
  const parameter = bytes(
    call(global("torch.nn.parameter", "Parameter"), old),
    tuple(py.false, py.false, none),
    "b",
  );
  const state = call(global("collections", "OrderedDict"), list(list(oldText("a"), parameter)));
  using file = await open(legacy(state));
  assertEquals(await readAll(file, "a"), new Float32Array([1, 2, 3, 4]));
});

Deno.test("files of PyTorch 2 are read: byteorder, untyped storages, tensors with attributes", async () => {
  const { call, global, tuple, dict } = py;
  const more = [
    { name: "x/byteorder", data: "little" },
    { name: "x/.data/serialization_id", data: "1234" },
    { name: "x/.format_version", data: "1" },
    { name: "x/.storage_alignment", data: "64" },
  ];
  const untyped = tensor({
    type: global("torch.storage", "UntypedStorage"),
    count: 16,
    rebuild: "_rebuild_tensor_v3",
    extra: [global("torch", "float32")],
  });
  const inner = bytes("(", tensor().subarray(tensor().indexOf(0x28) + 1, -1)); // the tuple of arguments
  const attributes = call(
    global("torch._tensor", "_rebuild_from_type_v2"),
    ...[global("torch._utils", "_rebuild_tensor_v2"), global("torch.nn.parameter", "Parameter")],
    ...[inner, dict()],
  );
  const parameter = call(
    global("torch._utils", "_rebuild_parameter_with_state"),
    ...[tensor(), py.false, py.none, dict()],
  );
  const size = call(global("torch", "Size"), tuple(py.int(2)));
  for (const code of [untyped, attributes, parameter, tensor({ extra: [dict()] })]) {
    const state = dict([py.text("a"), code], [py.text("size"), size]);
    using file = await open(pth(state, floats(1, 2, 3, 4), more));
    assertEquals(await readAll(file, "a"), new Float32Array([1, 2, 3, 4]));
  }
});

Deno.test("openWeights() rejects a lazily negated tensor, whose stored numbers are not its values", () =>
  assertFileError(
    () => open(pth(stateOf(tensor({ extra: [py.dict([py.text("neg"), bytes([0x88])])] })))),
    "x: holds a lazily negated or conjugated tensor: save it again after resolve_neg()",
  ));

Deno.test("legacy format: a view of a storage starts at the offset of the view", async () => {
  const view = [py.tuple(py.text("v"), py.int(1), py.int(2))];
  using file = await open(legacy(stateOf(tensor({ view, shape: [2], stride: [1] }))));
  assertEquals(await readAll(file, "a"), new Float32Array([2, 3]));
  const beyond = [py.tuple(py.text("v"), py.int(3), py.int(2))];
  await assertFileError(
    () => open(legacy(stateOf(tensor({ view: beyond })))),
    "x: the pickle describes an impossible storage: damaged",
  );
  await assertFileError(
    () => open(legacy(stateOf(tensor({ view })))),
    "x: a extends beyond its storage of 8 bytes: damaged",
  );
});

Deno.test("big-endian files are read, in every type and order", async () => {
  const bigEndian = [{ name: "x/byteorder", data: "big" }];
  const values = [1, -2.5, 3, 65504];
  const view = new DataView(new ArrayBuffer(32));
  values.forEach((value, i) => view.setFloat32(4 * i, value));
  const types = { FloatStorage: 4, DoubleStorage: 8, BFloat16Storage: 2, HalfStorage: 2 };
  for (const [storage, size] of Object.entries(types)) {
    const halves = storage === "HalfStorage" ? [0x3c00, 0xc100, 0x4200, 0x7bff] : undefined;
    values.forEach((value, i) => {
      if (size === 8) view.setFloat64(8 * i, value);
      else if (size === 4) view.setFloat32(4 * i, value);
      else view.setUint16(2 * i, halves?.[i] ?? bfloat16(value));
    });
    const data = new Uint8Array(view.buffer, 0, 4 * size), type = py.global("torch", storage);
    const expected = Float32Array.from(values);
    if (storage === "BFloat16Storage") expected[3] = 65536;
    for (const stride of [[2, 1], [1, 2]]) {
      using file = await open(pth(stateOf(tensor({ type, stride })), data, bigEndian));
      const [a, b, c, d] = expected;
      const read = stride[0] === 2 ? expected : new Float32Array([a, c, b, d]);
      assertEquals(await readAll(file, "a"), read);
    }
  }
});

/** The upper half of a float32, rounded. */
function bfloat16(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint32(0) + 0x8000 >>> 16;
}

Deno.test("openWeights() rejects an unknown byte order, and big-endian files that it cannot read", async () => {
  await assertFileError(
    () => open(pth(stateOf(tensor()), undefined, [{ name: "x/byteorder", data: "middle" }])),
    'x: has the unknown byte order "middle": damaged',
  );
  const big = zip([
    { name: "x/data.pkl", data: py.pickle(stateOf(tensor())) },
    { name: "x/byteorder", data: "big" },
    { name: "x/data/0", data: floats(1, 2, 3, 4) },
  ]);
  await assertFileError(async () => {
    using file = await openWeights(await chunkedSource(big));
    await readAll(file, "a");
  }, "x: is big-endian, which cannot be read from a stream: download it first");
  await assertFileError(
    () => open(legacy(stateOf(tensor()), undefined, { little: py.false })),
    "x: was saved as big-endian: save it again on a little-endian machine",
  );
});

Deno.test("openWeights() rejects tensors with impossible shapes, strides or offsets", async () => {
  const big = 2 ** 52;
  for (
    const [parts, reason] of [
      [{ offset: 1 }, "extends beyond its storage of 16 bytes"],
      [{ stride: [3, 1] }, "extends beyond its storage of 16 bytes"],
      [{ stride: [big, big] }, "extends beyond its storage of 16 bytes"],
      [{ offset: -1 }, "has an invalid stride or offset"],
      [{ stride: [-2, 1] }, "has an invalid stride or offset"],
      [{ stride: [1n << 62n, 1] }, "has an invalid stride or offset"],
      [{ stride: [1] }, "has the wrong number of strides for its shape"],
      [{ shape: [-2, 2] }, "has an invalid size"],
      [{ shape: [1n << 62n, 2] }, "has an invalid size"],
      [{ shape: [big, big] }, "has an impossible shape"],
      [{ shape: [0, big, big], stride: [1, 1, 1] }, "has an impossible shape"],
      [{ shape: Array(65).fill(1), stride: Array(65).fill(1) }, "has an impossible shape"],
    ] as const
  ) {
    const value = stateOf(tensor({ ...parts } as Parameters<typeof tensor>[0]));
    await assertFileError(() => open(pth(value)), `x: a ${reason}: damaged`);
    await assertFileError(() => open(legacy(value)), `x: a ${reason}: damaged`);
  }
  const endless = pth(stateOf(tensor({ shape: [2 ** 40], stride: [0] })));
  await assertFileError(
    () => open(endless),
    `x: a [1099511627776] is an expanded tensor (stride 0), too large for a file of ` +
      `${endless.length} bytes: save it after clone()`,
  );
});

Deno.test("read() ignores the stride of an axis of size 1", async () => {
  const odd = tensor({ shape: [1, 2, 2], stride: [2 ** 53 - 1, 1, 2] });
  using file = await open(pth(stateOf(odd)));
  assertEquals(await readAll(file, "a"), new Float32Array([1, 3, 2, 4]));
});

Deno.test("openWeights() rejects impossible, missing and inconsistent storages", async () => {
  const impossible = "x: the pickle describes an impossible storage: damaged";
  for (const count of [-1, 1n << 62n, 2 ** 53 - 1]) {
    await assertFileError(() => open(pth(stateOf(tensor({ count })))), impossible);
  }
  const twice = py.dict(
    [py.text("a"), tensor()],
    [py.text("b"), tensor({ count: 2, shape: [2], stride: [1] })],
  );
  await assertFileError(() => open(pth(twice)), impossible);
  await assertFileError(
    () => open(pth(stateOf(tensor({ count: 5 })))),
    "x: a needs a storage of 20 bytes, but it has 16: damaged",
  );
  await assertFileError(
    () => open(legacy(stateOf(tensor({ count: 5 })))),
    "x: storage 0 has 16 bytes, but its tensors need 20: damaged",
  );
  await assertFileError(
    () => open(legacy(stateOf(tensor()), undefined, { count: -4 })),
    "x: storage 0 has -16 bytes, but its tensors need 16: damaged",
  );
  await assertFileError(
    () => open(pth(stateOf(tensor({ key: "../7" })))),
    "x: a needs storage ../7, which is missing",
  );
  await assertFileError(
    () => open(legacy(stateOf(tensor()), undefined, { keys: [] })),
    "x: a needs storage 0, which is missing",
  );
  for (const keys of [["1"], ["0", "0"]]) {
    await assertFileError(
      () => open(legacy(stateOf(tensor()), bytes(floats(1, 2, 3, 4), floats(0, 0)), { keys })),
      "x: lists a storage twice, or one without a tensor: damaged",
    );
  }
});

Deno.test("openWeights() rejects a dict without tensors", async () => {
  for (const value of [py.dict(), stateOf(py.int(1)), py.dict([py.int(1), tensor()])]) {
    await assertFileError(() => open(pth(value)), "x: holds no tensors: not a state dict");
  }
});

Deno.test("openWeights() removes the prefix of DataParallel only if all names have it", async () => {
  const value = py.dict([py.text("module.a"), tensor()], [py.text("b"), tensor()]);
  using file = await open(pth(value));
  assertEquals([...file.entries.keys()], ["module.a", "b"]);
});

Deno.test("legacy format: a pickle longer than the first read is read", async () => {
  const filler = py.text("x".repeat(100_000));
  using file = await open(legacy(py.dict([py.text("note"), filler], [py.text("a"), tensor()])));
  assertEquals(await readAll(file, "a"), new Float32Array([1, 2, 3, 4]));
});

Deno.test("openWeights() rejects a file truncated at any length", async () => {
  for (const name of ["model.pth", "model_legacy.pth"]) {
    const whole = await fixture(name);
    for (let length = 1; length < whole.length; length += 7) {
      await assertRejects(() => open(whole.subarray(0, length)), FileError);
    }
  }
});
