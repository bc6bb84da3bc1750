/** Layers that move, resample and normalise values. */

import * as nn from "../../src/layers/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { elements } from "../../src/tensor.ts";
import { assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testWithThreads } from "../backends.ts";
import { random, testGradients } from "./differences.ts";

/** A unit of ShuffleNet V2: half of the channels pass by a convolution, then all are shuffled. */
function shuffleUnit(): nn.Layer {
  return new nn.Graph([
    { name: "left", layer: new nn.Slice(1, 0, 2) },
    { name: "right", layer: new nn.Slice(1, 2), inputs: ["input"] },
    { name: "conv", layer: new nn.Conv2d(2, 2, 3, { padding: 1 }) },
    { name: "norm", layer: new nn.GroupNorm(1, 2) },
    { name: "concat", layer: new nn.Concat(), inputs: ["left", "norm"] },
    { name: "shuffle", layer: new nn.ChannelShuffle(2) },
  ]);
}

/** Two levels of a U-Net, with both ways to go up. */
function unet(): nn.Layer {
  return new nn.Graph([
    { name: "down", layer: new nn.AvgPool2d(2) },
    { name: "up", layer: new nn.Upsample({ scaleFactor: 2, mode: "bilinear" }) },
    { name: "learned", layer: new nn.ConvTranspose2d(2, 1, 2, { stride: 2 }), inputs: ["down"] },
    { name: "concat", layer: new nn.Concat(1), inputs: ["up", "learned", "input", "up"] },
    { name: "reshape", layer: new nn.Reshape([7, -1]) },
    { name: "norm", layer: new nn.LayerNorm(16) },
  ]);
}

testGradients([
  [shuffleUnit, [2, 4, 3, 3]],
  [unet, [2, 2, 4, 4]],
  [
    () => new nn.ConvTranspose2d(4, 6, [3, 2], { stride: [2, 3], outputPadding: 1, groups: 2 }),
    [2, 4, 3, 4],
  ],
  [() => new nn.ConvTranspose1d(2, 3, 3, { stride: 2, padding: 1, bias: false }), [2, 2, 5]],
  [() => new nn.LayerNorm([3, 4]), [2, 2, 3, 4]],
  [() => new nn.LayerNorm(5, { elementwiseAffine: false, eps: 0.1 }), [3, 5]],
  [() => new nn.GroupNorm(2, 4), [2, 4, 3, 2]],
  [() => new nn.Identity(), [2, 3]],
  [() => new nn.Reshape([2, -1, 3]), [2, 3, 4]],
  [() => new nn.Unflatten(-1, [2, 2]), [2, 3, 4]],
  [() => new nn.Slice(2, 1, -1, { step: 2 }), [2, 2, 6, 3]],
  [() => new nn.ChannelShuffle(3), [2, 6, 2, 2]],
  [() => new nn.Permute([2, 0, 3, 1]), [2, 3, 4, 2]],
  [() => new nn.ConstantPad2d([1, 2, -1, 0], 3), [2, 2, 3, 4]],
  [() => new nn.ReflectionPad2d([1, 2, 0, 1]), [1, 2, 3, 4]],
  [() => new nn.ReplicationPad2d(1), [1, 2, 3, 4]],
  [() => new nn.Upsample({ scaleFactor: 2 }), [1, 2, 3, 4]],
  [() => new nn.Upsample({ size: 7, mode: "bilinear", alignCorners: true }), [1, 2, 3, 4]],
  [() => new nn.Upsample({ scaleFactor: 1.7, mode: "linear" }), [1, 2, 5]],
], testWithThreads); // tests/backend compares the kernels with references, on every backend

testOnEveryBackend("Concat gives each input its part of the gradient", async (backend) => {
  const layer = new nn.Concat().train();
  using a = backend.upload([1, 2, 3, 4], [2, 1, 2]);
  using b = backend.upload([5, 6, 7, 8, 9, 10, 11, 12], [2, 2, 2]);
  assertEquals(layer.outputShape([a.shape, b.shape]), [2, 3, 2]);
  using y = layer.forward([a, b]);
  assertEquals([...await y.read()], [1, 2, 5, 6, 7, 8, 3, 4, 9, 10, 11, 12]);
  const gradients = layer.backwardInto(y);
  assertEquals([...await gradients[0].read()], [...await a.read()]);
  assertEquals([...await gradients[1].read()], [...await b.read()]);
  for (const gradient of gradients) gradient.dispose();
  assertThrows(() => layer.backwardInto(y), PembrokeError, "needs a forward pass");
});

testWithThreads(
  "graphs of these layers compute the same in training and evaluation",
  async (backend) => {
    for (const make of [shuffleUnit, unet]) {
      using net = make().init(backend, { seed: 3 });
      const shape = [2, make === unet ? 2 : 4, 4, 4];
      using x = backend.upload(random(shape, 5), shape);
      using trained = net.train().forward(x);
      using first = net.eval().forward(x), second = net.forward(x);
      const values = await first.read();
      assertAllClose(values, await trained.read(), { abs: 1e-6 });
      assertEquals(await second.read(), values);
    }
  },
);

testOnEveryBackend("Upsample keeps the tables of the last size", async (backend) => {
  using layer = new nn.Upsample({ scaleFactor: 2 });
  using x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]), row = x.view([1, 1, 1, 4]);
  const forward = async (input: typeof x) => {
    using y = layer.forward(input);
    return [...await y.read()];
  };
  const square = [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4];
  assertEquals(await forward(x), square);
  const bytes = backend.bytesInUse;
  assertEquals(await forward(x), square);
  assertEquals(backend.bytesInUse, bytes);
  assertEquals(await forward(row), [1, 1, 2, 2, 3, 3, 4, 4, 1, 1, 2, 2, 3, 3, 4, 4]);
  assertEquals(await forward(x), square);
  assertEquals(backend.bytesInUse, bytes);
  layer.train();
  using y = layer.forward(x);
  layer.backward(y).dispose();
  layer.eval();
  assertEquals(backend.bytesInUse, bytes + 64);
});

Deno.test("the shapes of layers that move values", () => {
  const planes = [2, 6, 4, 5],
    shapes: [nn.Layer, readonly number[]][] = [
      [new nn.Slice(1, -2), [2, 2, 4, 5]],
      [new nn.ChannelShuffle(2), planes],
      [new nn.Permute([0, -1, 1, 2]), [2, 5, 6, 4]],
      [new nn.ZeroPad2d([1, 2, 3, -1]), [2, 6, 6, 8]],
      [new nn.Identity(), planes],
      [new nn.Reshape([-1]), [2, 120]],
      [new nn.Reshape([3, 2, -1]), [2, 3, 2, 20]],
      [new nn.Unflatten(1, [3, -1]), [2, 3, 2, 4, 5]],
      [new nn.ReflectionPad2d(3), [2, 6, 10, 11]],
      [new nn.LayerNorm([4, 5], { elementwiseAffine: false }), planes],
      [new nn.GroupNorm(3, 6, { affine: false }), planes],
      [new nn.ConvTranspose2d(6, 4, 2, { stride: 2 }), [2, 4, 8, 10]],
      [new nn.Upsample({ scaleFactor: [2, 0.5] }), [2, 6, 8, 2]],
      [new nn.Upsample({ size: 7, mode: "bilinear" }), [2, 6, 7, 7]],
    ];
  for (const [layer, expected] of shapes) {
    assertEquals(layer.outputShape(planes), expected, layer.type);
    const weights = layer.parameters.weight?.shape.slice(1) ?? [0];
    assertEquals(layer.macs(planes), elements([...planes, ...weights]), layer.type);
  }
  assertThrows(
    () => new nn.Concat(1).outputShape([[2, 6, 4], [2, 4, 5]]),
    ArgumentError,
    "Concat: the shape of input 1 is [2, 4, 5], must be [2, 6, 4] but for axis 1",
  );
  assertThrows(() => new nn.Concat(1).outputShape([]), ArgumentError, "a list of at least one");
  assertThrows(
    () => new nn.ChannelShuffle(4).outputShape(planes),
    ArgumentError,
    "ChannelShuffle: groups is 4, must be a divisor of the 6 channels",
  );
});

Deno.test("views refuse sizes that do not fit", () => {
  const refused: [string, () => unknown][] = [
    [
      "Reshape: shape is [-1, -1], must be positive integers, and at most one −1",
      () => new nn.Reshape([-1, -1]),
    ],
    [
      "Reshape: shape is [7, -1], must be sizes of 12 elements",
      () => new nn.Reshape([7, -1]).outputShape([2, 3, 4]),
    ],
    [
      "Reshape: shape is [2, 3], must be sizes of 12 elements",
      () => new nn.Reshape([2, 3]).outputShape([2, 3, 4]),
    ],
    [
      "Unflatten: unflattenedSize is [3], must be sizes of 4 elements",
      () => new nn.Unflatten(-1, [3]).outputShape([2, 3, 4]),
    ],
    [
      "Unflatten: dim is 3, must be an axis of x [2, 3, 4]",
      () => new nn.Unflatten(3, [4]).outputShape([2, 3, 4]),
    ],
  ];
  for (const [message, call] of refused) {
    assertEquals(assertThrows(call, ArgumentError).message, message);
  }
});
