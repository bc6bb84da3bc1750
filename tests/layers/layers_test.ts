import { WasmBackend } from "../../src/backend/wasm.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import * as nn from "../../src/layers/mod.ts";
import { conv2d, linear, maxPool2d, relu } from "../../src/ops/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { AdamW } from "../../src/train/adamw.ts";
import { SGD } from "../../src/train/sgd.ts";
import { elements, type Shape } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testWithThreads } from "../backends.ts";

const wave = (shape: Shape, phase = 0.7) =>
  Float32Array.from({ length: elements(shape) }, (_, i) => Math.sin(i * phase + 1));

/** Layers, and a valid input shape for each. */
const layers: [nn.Layer, Shape][] = [
  [new nn.Conv1d(2, 3, 3, { stride: 2, padding: [1, 0] }), [2, 2, 9]],
  [new nn.Conv2d(4, 6, [3, 2], { groups: 2, dilation: [1, 2], padding: [1, 0, 2, 1] }), [
    2,
    4,
    7,
    6,
  ]],
  [new nn.Conv2d(2, 2, 4, { padding: "same", bias: false }), [1, 2, 5, 5]],
  [new nn.Linear(5, 3), [2, 4, 5]],
  [new nn.MaxPool1d(3, { stride: 2, ceilMode: true }), [1, 2, 8]],
  [new nn.MaxPool2d(3, { stride: 2, padding: 1, dilation: 2 }), [1, 2, 9, 8]],
  [new nn.AvgPool1d(2), [2, 1, 7]],
  [new nn.AvgPool2d([2, 3], { countIncludePad: false, padding: 1 }), [1, 2, 6, 6]],
  [new nn.AdaptiveAvgPool1d(3), [1, 2, 7]],
  [new nn.AdaptiveAvgPool2d([2, 5]), [1, 2, 7, 4]],
  [new nn.ReLU(), [3, 4]],
  [new nn.Hardswish(), [3, 4]],
  [new nn.PReLU(4), [3, 4]],
  [new nn.Softmax(), [3, 4]],
  [new nn.LogSoftmax(0), [3, 4]],
  [new nn.Dropout(), [3, 4]],
  [new nn.Flatten(), [3, 4, 2, 2]],
  [new nn.LocalResponseNorm(5), [2, 7, 3, 3]],
  [new nn.BatchNorm1d(4), [3, 4]],
  [new nn.BatchNorm2d(4, { affine: false }), [2, 4, 3, 3]],
];

for (const [layer, shape] of layers) {
  testOnEveryBackend(
    `outputShape() of ${layer.type} is the shape of its output for [${shape}]`,
    async (backend) => {
      using _ = layer.init(backend);
      using x = backend.upload(wave(shape), shape);
      using y = layer.forward(x);
      assertEquals(y.shape, layer.outputShape(shape));
      assertEquals((await y.read()).some(Number.isNaN), false);
    },
  );
}

testOnEveryBackend("Sequential gives the results of its layers in sequence", async (backend) => {
  const conv1 = new nn.Conv2d(3, 5, 3, { padding: 1 }), conv2 = new nn.Conv2d(5, 4, 3);
  const fc = new nn.Linear(4 * 9, 7);
  using net = new nn.Sequential({
    body: new nn.Sequential([
      new nn.ReLU(), // must not overwrite the caller's input
      conv1,
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      conv2,
      new nn.Dropout(),
    ]),
    flatten: new nn.Flatten(),
    head: fc,
    end: new nn.ReLU(),
  }).init(backend, { seed: 2 });
  assertEquals([...net.stateDict().keys()], [
    "body.1.weight",
    "body.1.bias",
    "body.4.weight",
    "body.4.bias",
    "head.weight",
    "head.bias",
  ]);

  for (const n of [2, 1, 3]) { // each batch size needs a new plan
    const shape = [n, 3, 10, 10], values = wave(shape);
    using x = backend.upload(values, shape);
    using y = net.forward(x);
    const value = (layer: nn.Layer, name: string) => layer.parameters[name]!.tensor!;
    using a = relu(x);
    using b = conv2d(a, value(conv1, "weight"), value(conv1, "bias"), { padding: 1 });
    using c = relu(b);
    using d = maxPool2d(c, { kernelSize: 2 });
    using e = conv2d(d, value(conv2, "weight"), value(conv2, "bias"));
    using f = linear(e.view([n, 36]), value(fc, "weight"), value(fc, "bias"));
    using g = relu(f);
    assertEquals(y.shape, [n, 7]);
    assertAllClose(await y.read(), await g.read(), { abs: 1e-6 });
    assertEquals(await x.read(), values);
  }
});

testOnEveryBackend(
  "Sequential writes to `out` and allocates nothing after the first pass",
  (backend) => {
    using net = new nn.Sequential([new nn.Conv2d(1, 2, 3), new nn.ReLU(), new nn.Flatten()])
      .init(backend);
    using x = backend.upload(wave([1, 1, 5, 5]), [1, 1, 5, 5]);
    using out = backend.empty([1, 18]);
    net.forward(x, { out });
    const warm = backend.bytesInUse;
    assertEquals(net.forward(x, { out }), out);
    assertEquals(backend.bytesInUse, warm);
  },
);

testOnEveryBackend("Conv2d stores its weights once with winograd", (backend) => {
  using conv = new nn.Conv2d(16, 16, 3, { padding: 1 }).init(backend);
  assertEquals(conv.algorithm, "winograd");
  if (backend.device !== "wasm") return; // WebGPU uses the direct algorithm and packed weights
  using x = backend.upload(wave([1, 16, 5, 5]), [1, 16, 5, 5]);
  using out = backend.empty(x.shape);
  const before = backend.bytesInUse;
  conv.forward(x, { out });
  assertEquals(backend.bytesInUse, before);
});

testOnEveryBackend(
  "keepPacked: false stores the weights once, and gives the same results",
  async (backend) => {
    const options = { padding: 1, algorithm: "direct" } as const;
    const makers = [
      (keepPacked?: boolean) => new nn.Conv2d(8, 9, 3, { ...options, keepPacked }),
      (keepPacked?: boolean) => new nn.Conv1d(8, 9, 3, { padding: 1, keepPacked }),
    ];
    for (const [i, make] of makers.entries()) {
      using packed = make().init(backend, { seed: 1 });
      using unpacked = make(false).init(backend, { seed: 1 });
      const shape = i === 0 ? [1, 8, 5, 5] : [1, 8, 25];
      using x = backend.upload(wave(shape), shape);
      using out = backend.empty(unpacked.outputShape(shape));
      const before = backend.bytesInUse;
      unpacked.forward(x, { out });
      assertEquals(backend.bytesInUse, before);
      using expected = packed.forward(x);
      assertEquals(await out.read(), await expected.read());
    }
  },
);

testOnEveryBackend("Sequential of layers that return views returns a view", async (backend) => {
  const net = new nn.Sequential([new nn.Dropout(), new nn.Flatten()]);
  using x = backend.upload(wave([2, 3, 2]), [2, 3, 2]);
  const y = net.forward(x);
  assertEquals(y.shape, [2, 6]);
  y.dispose();
  assertEquals(await x.read(), wave([2, 3, 2]));
});

testOnEveryBackend("Conv2d uses new weights after a write", async (backend) => {
  using conv = new nn.Conv2d(1, 1, 1, { bias: false }).init(backend);
  using x = backend.upload([3], [1, 1, 1, 1]);
  for (const factor of [2, -5]) {
    backend.write(conv.parameters.weight.tensor!, new Float32Array([factor]));
    using y = conv.forward(x);
    assertEquals([...await y.read()], [3 * factor]);
  }
});

testOnEveryBackend("forward() of a layer without values throws", (backend) => {
  using x = backend.upload([1], [1, 1, 1, 1]);
  assertThrows(
    () => new nn.Conv2d(1, 1, 1).forward(x),
    PembrokeError,
    "call init() or load weights first",
  );
});

Deno.test("constructors of layers reject invalid options", () => {
  assertThrows(() => new nn.Conv2d(3, 4, 3, { groups: 2 }), ArgumentError, "groups is 2");
  assertThrows(() => new nn.Conv2d(0, 4, 3), ArgumentError, "inChannels is 0");
  assertThrows(() => new nn.Linear(2, 1.5), ArgumentError, "outFeatures is 1.5");
  assertThrows(() => new nn.MaxPool2d([2, 0]), ArgumentError, "kernelSize");
  assertThrows(() => new nn.Dropout(1.5), ArgumentError, "p is 1.5");
  assertThrows(() => new nn.Conv2d(1, 1, 3, { padding: -1 }), ArgumentError, "padding is -1");
  assertThrows(() => new nn.Conv1d(1, 1, 3, { stride: 0 }), ArgumentError, "stride is 0");
  assertThrows(() => new nn.MaxPool2d(2, { padding: -3 }), ArgumentError, "padding is -3");
  assertThrows(() => new nn.BatchNorm2d(2, { eps: -1 }), ArgumentError, "eps is -1");
  assertThrows(() => new nn.LocalResponseNorm(4), ArgumentError, "size is 4");
  assertThrows(() => new nn.Linear(2, 3).outputShape([4, 5]), ArgumentError, "[…, 2]");
});

testOnEveryBackend("a tensor copies and freezes its shape", (backend) => {
  const shape = [1, 2];
  using x = backend.upload([3, 4], shape);
  shape[1] = 2_000_000;
  assertEquals(x.shape, [1, 2]);
  assertThrows(() => (x.shape as number[])[1] = 9, TypeError);
});

testOnEveryBackend(
  "Sequential rejects an `out` of another shape without a leak",
  (backend) => {
    using net = new nn.Sequential([new nn.Flatten(), new nn.Linear(4, 2)]).init(backend);
    using x = backend.upload(wave([1, 4]), [1, 4]);
    using wrong = backend.empty([2, 1]);
    assertThrows(() => net.forward(x, { out: wrong }), ArgumentError, "[1, 2]");
    assertThrows(() => new nn.Flatten().forward(x, { out: wrong }), ArgumentError, "view of x");
    const empty = new nn.Sequential([new nn.Flatten(), new nn.Linear(4, 2000)]);
    const before = backend.bytesInUse;
    assertThrows(() => empty.forward(x), PembrokeError, "call init()");
    assertEquals(backend.bytesInUse, before);
  },
);

Deno.test("options that a layer does not have are refused, not ignored", () => {
  const refused: [string, string, () => unknown][] = [
    ["Conv2d", "dilatoin", () => new nn.Conv2d(3, 8, 3, { dilatoin: 2 } as object)],
    ["Conv2d", "activation", () => new nn.Conv2d(3, 8, 3, { activation: "relu" } as object)],
    ["Conv2d", "padding_mode", () => new nn.Conv2d(1, 1, 3, { padding_mode: "reflect" } as object)],
    ["Conv1d", "algorithm", () => new nn.Conv1d(1, 1, 3, { algorithm: "winograd" } as object)],
    ["MaxPool2d", "ceil_mode", () => new nn.MaxPool2d(2, { ceil_mode: true } as object)],
    ["MaxPool2d", "kernelSize", () => new nn.MaxPool2d(2, { kernelSize: 3 } as object)],
    ["AvgPool2d", "countIncludePadding", () => {
      return new nn.AvgPool2d(2, { countIncludePadding: false } as object);
    }],
    ["Upsample", "align_corners", () => {
      const options = { size: 4, mode: "bilinear", align_corners: true } as const;
      return new nn.Upsample(options);
    }],
    ["Graph", "input", () => {
      return new nn.Graph([{ name: "a", layer: new nn.ReLU(), input: ["input"] } as nn.GraphNode]);
    }],
    ["SGD", "weight_decay", () => {
      return new SGD(new nn.ReLU(), { lr: 1, weight_decay: 1 } as { lr: number });
    }],
    ["AdamW", "amsgrad", () => new AdamW(new nn.ReLU(), { amsgrad: true } as object)],
  ];
  for (const [op, name, create] of refused) {
    assertThrows(create, ArgumentError, `${op}: an option is "${name}", must be one of: `);
  }
  new nn.Conv2d(1, 1, 3, { dilatoin: undefined } as object);
});

Deno.test("Flatten joins all axes but the first", () => {
  for (const create of [() => new nn.Flatten(2), () => new nn.Flatten(1, 2)]) {
    assertThrows(create, ArgumentError, "must be 1 and -1; use Reshape for others");
  }
  assertEquals(new nn.Flatten(1, -1).outputShape([2, 3, 4]), [2, 12]);
});

Deno.test("Sequential takes one list of layers", () => {
  const create = () => Reflect.construct(nn.Sequential, [new nn.ReLU(), new nn.ReLU()]);
  assertThrows(create, ArgumentError, "layers is [object ReLU]");
});

testWithThreads("layers refuse options that they do not compute", (backend) => {
  const shape = [1, 2, 4, 4];
  using x = backend.upload(wave(shape), shape);
  const norm = new nn.BatchNorm2d(2), activation = "relu";
  const refused: [nn.Layer, nn.ForwardOptions][] = [
    [new nn.MaxPool2d(2), { activation }],
    [new nn.ConvTranspose2d(2, 2, 1), { activation }],
    [new nn.Flatten(), { activation }],
    [new nn.Sequential([new nn.Conv2d(2, 2, 1)]), { activation }],
    [new nn.Linear(4, 4), { residual: x, activation }],
    [norm, { norm }],
  ];
  for (const [layer, options] of refused) {
    using _ = layer.init(backend);
    const text = `${layer.type}: ${Object.keys(options)[0]} is`;
    assertThrows(() => layer.forward(x, options), ArgumentError, text);
  }
  const concat = new nn.Concat(1);
  assertThrows(() => concat.forward([x], { residual: x }), ArgumentError, "Concat: residual is");
});

Deno.test("layers refuse inputs on another backend than their parameters", async () => {
  using backend = new WasmBackend();
  using elsewhere = new WasmBackend();
  const layers = [
    new nn.Conv2d(2, 2, 1),
    new nn.ConvTranspose2d(2, 2, 1),
    new nn.Linear(2, 2),
    new nn.BatchNorm2d(2),
    new nn.BatchNorm2d(2, { affine: false }),
    new nn.GroupNorm(1, 2),
    new nn.LayerNorm(2),
    new nn.PReLU(),
  ];
  const values = [1, 2, 3, 4, 5, 6, 7, 8], x = backend.upload(values, [1, 2, 2, 2]);
  for (const layer of layers) {
    layer.init(elsewhere);
    assertThrows(() => layer.forward(x), ArgumentError, "on that of the other tensors");
    layer.train();
    assertThrows(() => layer.forward(x), ArgumentError, "on that of the other tensors");
  }
  assertEquals([...await x.read()], values);
});

Deno.test("outputShape() refuses the shapes that forward() refuses", () => {
  for (const layer of [new nn.Softmax(2), new nn.LogSoftmax(-3)]) {
    const dim = `${layer.type}: dim is ${layer.dim}, must be an axis of x [2, 3]`;
    assertThrows(() => layer.outputShape([2, 3]), ArgumentError, dim);
    assertEquals(layer.outputShape([2, 3, 4]), [2, 3, 4]);
  }
  assertThrows(() => new nn.PReLU().outputShape([]), ArgumentError, "the shape of x is []");
});

Deno.test("layers with the same seed get the same numbers, with one generator others", async () => {
  using backend = new WasmBackend();
  using a = new nn.Linear(3, 4).init(backend), b = new nn.Linear(3, 4).init(backend, { seed: 0 });
  const [first, same] = await Promise.all([a, b].map(({ parameters }) => {
    return parameters.weight.tensor!.read();
  }));
  assertEquals(same, first);
  const generator = new RandomGenerator(0);
  for (const layer of [a, b]) layer.init(backend, { generator });
  assertEquals(await a.parameters.weight.tensor!.read(), first);
  const other = await b.parameters.weight.tensor!.read();
  assert(other.every((value, i) => value !== first[i]));
});
