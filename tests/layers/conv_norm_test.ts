/** Batch normalisations and residuals that a convolution computes in evaluation mode. */

import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import {
  BatchNorm1d,
  BatchNorm2d,
  Conv1d,
  Conv2d,
  Linear,
  MaxPool2d,
  ReLU,
} from "../../src/layers/mod.ts";
import { relu } from "../../src/ops/mod.ts";
import type { Shape, Tensor } from "../../src/tensor.ts";
import { assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testOnWasm, testWithThreads } from "../backends.ts";
import { Draw, upload } from "../backend/harness.ts";

/** Gives a layer other values than its initial ones, which hide mistakes. */
function draw(
  layer: Conv2d | Conv1d | BatchNorm1d | BatchNorm2d,
  backend: Backend,
  seed = 1,
): void {
  const values = new Draw(seed);
  for (const [name, parameter] of Object.entries(layer.parameters)) {
    parameter.allocate(backend);
    const from = name === "running_var" ? 0.5 : -1;
    parameter.write(values.floats(parameter.shape, from).data);
  }
}

const layers: [string, () => Conv2d | Conv1d, () => BatchNorm1d | BatchNorm2d, Shape][] = [
  ["packed", () => new Conv2d(3, 5, 3, { padding: 1 }), () => new BatchNorm2d(5), [2, 3, 5, 6]],
  [
    "winograd",
    () => new Conv2d(12, 13, 3, { bias: false }),
    () => new BatchNorm2d(13, { eps: 0.1 }),
    [1, 12, 7, 6],
  ],
  [
    "groups",
    () => new Conv2d(4, 6, 2, { groups: 2, stride: 2 }),
    () => new BatchNorm2d(6, { affine: false }),
    [1, 4, 5, 6],
  ],
  [
    "depthwise",
    () => new Conv2d(5, 5, 3, { groups: 5, padding: 1 }),
    () => new BatchNorm2d(5),
    [2, 5, 4, 7],
  ],
  [
    "weights that are not kept",
    () => new Conv2d(2, 3, 3, { keepPacked: false }),
    () => new BatchNorm2d(3),
    [1, 2, 4, 5],
  ],
  ["one dimension", () => new Conv1d(3, 4, 3), () => new BatchNorm1d(4), [2, 3, 9]],
];

for (const [name, makeConv, makeNorm, shape] of layers) {
  // WebGPU has no other kernels
  const test = /packed|depthwise/.test(name) ? testOnEveryBackend : testOnWasm;
  test(`a convolution folds a batch normalisation: ${name}`, async (backend) => {
    using conv = makeConv(), norm = makeNorm();
    draw(conv, backend);
    draw(norm, backend, 2);
    using x = upload(backend, new Draw(3).floats(shape));
    using plain = conv.forward(x), y = norm.forward(plain);
    for (let pass = 0; pass < 2; pass++) {
      using folded = conv.forward(x, { norm });
      assertAllClose(await folded.read(), await y.read(), { abs: 1e-5, rel: 1e-5 });
    }
    using residual = upload(backend, new Draw(4).floats(y.shape));
    const added = await residual.read();
    const sum = (await y.read()).map((v, i) => v + added[i]);
    using sums = backend.upload(sum, y.shape), expected = relu(sums);
    using all = conv.forward(x, { norm, residual, activation: "relu", out: residual });
    assertAllClose(await all.read(), await expected.read(), { abs: 1e-5, rel: 1e-5 });
    // without it, the convolution is what it was
    using again = conv.forward(x);
    assertEquals(await again.read(), await plain.read());
  });
}

testOnWasm("a convolution folds again after any of the values changed", async (backend) => {
  using conv = new Conv2d(2, 3, 1), norm = new BatchNorm2d(3);
  draw(conv, backend);
  draw(norm, backend);
  using x = upload(backend, new Draw(3).floats([1, 2, 3, 3]));
  conv.forward(x, { norm }).dispose();
  const parameters = [...Object.values(conv.parameters), ...Object.values(norm.parameters)];
  for (const [i, parameter] of parameters.entries()) {
    parameter.write(new Draw(9 + i).floats(parameter.shape, 0.5).data);
    using plain = conv.forward(x), y = norm.forward(plain), folded = conv.forward(x, { norm });
    assertAllClose(await folded.read(), await y.read(), { abs: 1e-5, rel: 1e-5 });
  }
  using other = new BatchNorm2d(3, { eps: 0.5 });
  draw(other, backend, 5);
  using plain = conv.forward(x), y = other.forward(plain);
  using folded = conv.forward(x, { norm: other });
  assertAllClose(await folded.read(), await y.read(), { abs: 1e-5, rel: 1e-5 });
});

testOnEveryBackend("a convolution folds once", (backend) => {
  for (const channels of [2, 12]) { // packed, winograd
    using conv = new Conv2d(channels, channels, 3), norm = new BatchNorm2d(channels);
    draw(conv, backend);
    draw(norm, backend);
    using x = upload(backend, new Draw(3).floats([1, channels, 5, 5]));
    using out = backend.empty([1, channels, 3, 3]);
    conv.forward(x, { norm, out });
    const before = backend.bytesInUse, { empty } = backend;
    let allocated = 0;
    backend.empty = (shape: Shape): Tensor => (allocated++, empty.call(backend, shape));
    try {
      for (let i = 0; i < 3; i++) conv.forward(x, { norm, out });
    } finally {
      Reflect.deleteProperty(backend, "empty");
    }
    assertEquals([allocated, backend.bytesInUse], [0, before]);
  }
});

testWithThreads("layers refuse what they cannot fuse", (backend) => {
  using conv = new Conv2d(2, 2, 1), norm = new BatchNorm2d(2), other = new BatchNorm2d(3);
  for (const layer of [conv, norm, other]) draw(layer, backend);
  using x = upload(backend, new Draw(3).floats([1, 2, 3, 3]));
  for (const wrong of [null, 1, conv, {}]) {
    assertThrows(
      () => conv.forward(x, { norm: wrong as unknown as BatchNorm2d }),
      ArgumentError,
      "Conv2d: norm is",
    );
  }
  assertThrows(() => conv.forward(x, { norm: other }), ArgumentError, "runningMean is [3]");
  norm.train();
  assertThrows(() => conv.forward(x, { norm }), ArgumentError, "in evaluation mode");
  norm.eval();
  conv.train();
  for (const options of [{ norm }, { residual: x }, { activation: "relu6" }] as const) {
    assertThrows(() => conv.forward(x, options), PembrokeError, "fuse a ReLU only");
  }
  assertThrows(
    () => norm.train().forward(x, { activation: "hardswish" }),
    PembrokeError,
    "BatchNorm2d: in training mode",
  );
});

testOnEveryBackend(
  "a batch normalisation trains with a fused ReLU as with a layer",
  async (backend) => {
    using norm = new BatchNorm2d(3), other = new BatchNorm2d(3), layer = new ReLU();
    for (const each of [norm, other]) {
      draw(each, backend);
      each.train();
    }
    layer.train();
    using x = upload(backend, new Draw(5).floats([2, 3, 4, 4]));
    using dy = upload(backend, new Draw(6).floats([2, 3, 4, 4]));
    using fused = norm.forward(x, { activation: "relu" }), dx = norm.backward(dy);
    using plain = other.forward(x), y = layer.forward(plain);
    using dplain = layer.backward(dy), expected = other.backward(dplain);
    assertEquals(await fused.read(), await y.read());
    assertEquals(await dx.read(), await expected.read());
    for (const name of ["weight", "bias"]) {
      assertEquals(
        await norm.stateDict().get(name)!.grad!.read(),
        await other.stateDict().get(name)!.grad!.read(),
      );
    }
  },
);

Deno.test("layers say what they can fuse", () => {
  const conv = new Conv2d(1, 1, 1), linear = new Linear(1, 1), norm = new BatchNorm2d(1);
  assertEquals([conv, linear, norm].map((layer) => layer.fusesActivation), [true, true, true]);
  assertEquals([conv, linear, norm].map((layer) => layer.fusesResidual), [true, false, false]);
  assertEquals([new ReLU().fusedAs, new MaxPool2d(2).fusedAs], ["relu", undefined]);
});
