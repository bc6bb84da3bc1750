/** Layers, parameters and everything of training with arguments of wrong types. */

import { WasmBackend } from "../../src/backend/wasm.ts";
import * as layers from "../../src/layers/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import * as training from "../../src/train/mod.ts";
import { assertEquals, assertMatch, assertThrows } from "../assert.ts";
import { type Call, checkHostile } from "../ops/hostile_arguments.ts";

/** The constructor of a class as a function. */
// deno-lint-ignore no-explicit-any
const create = (Class: any) => (...args: any[]) => new Class(...args);

const pool = { stride: 2, padding: 0, dilation: 1, ceilMode: false };

const constructors: Call[] = [
  ["ReLU", create(layers.ReLU), []],
  ["ReLU6", create(layers.ReLU6), []],
  ["LeakyReLU", create(layers.LeakyReLU), [0.1]],
  ["PReLU", create(layers.PReLU), [4, 0.25]],
  ["Sigmoid", create(layers.Sigmoid), []],
  ["Tanh", create(layers.Tanh), []],
  ["SiLU", create(layers.SiLU), []],
  ["Hardswish", create(layers.Hardswish), []],
  ["Hardsigmoid", create(layers.Hardsigmoid), [0.2, 0.5]],
  ["GELU", create(layers.GELU), ["tanh"]],
  ["Softplus", create(layers.Softplus), [1, 20]],
  ["Hardtanh", create(layers.Hardtanh), [-1, 1]],
  ["ELU", create(layers.ELU), [1]],
  ["Add", create(layers.Add), []],
  ["Mul", create(layers.Mul), []],
  ["MatMul", create(layers.MatMul), [{ transposeA: true, transposeB: false }]],
  ["Softmax", create(layers.Softmax), [1]],
  ["LogSoftmax", create(layers.LogSoftmax), [1]],
  ["Conv2d", create(layers.Conv2d), [4, 4, 3, {
    stride: 1,
    padding: 1,
    dilation: 1,
    groups: 2,
    bias: true,
    algorithm: "direct",
    keepPacked: true,
    precision: "int8",
  }]],
  ["Conv1d", create(layers.Conv1d), [4, 4, 3, { stride: 1, padding: [1, 1], groups: 2 }]],
  ["ConvTranspose2d", create(layers.ConvTranspose2d), [4, 4, 3, {
    stride: 2,
    padding: 1,
    outputPadding: 1,
    dilation: 1,
    groups: 2,
    bias: true,
  }]],
  ["ConvTranspose1d", create(layers.ConvTranspose1d), [4, 4, 3, { padding: [1, 1] }]],
  ["Linear", create(layers.Linear), [4, 4, { bias: true, precision: "f32" }]],
  ["LinearWeight", create(layers.LinearWeight), [[2, 3], () => {}, "f32"]],
  ["BatchNorm2d", create(layers.BatchNorm2d), [4, { eps: 1, momentum: 0.1, affine: true }]],
  ["BatchNorm1d", create(layers.BatchNorm1d), [4, {}]],
  ["LayerNorm", create(layers.LayerNorm), [[4, 4], { eps: 1, elementwiseAffine: true }]],
  ["GroupNorm", create(layers.GroupNorm), [2, 4, { eps: 1, affine: true }]],
  ["LocalResponseNorm", create(layers.LocalResponseNorm), [3, { alpha: 1, beta: 1, k: 1 }]],
  ["MaxPool2d", create(layers.MaxPool2d), [2, pool]],
  ["MaxPool1d", create(layers.MaxPool1d), [2, pool]],
  ["AvgPool2d", create(layers.AvgPool2d), [2, {
    ...pool,
    countIncludePad: true,
    divisorOverride: 2,
  }]],
  ["AvgPool1d", create(layers.AvgPool1d), [2, { ...pool, countIncludePad: true }]],
  ["AdaptiveAvgPool2d", create(layers.AdaptiveAvgPool2d), [[2, 2]]],
  ["AdaptiveMaxPool2d", create(layers.AdaptiveMaxPool2d), [[2, 2]]],
  ["AdaptiveAvgPool1d", create(layers.AdaptiveAvgPool1d), [2]],
  ["Flatten", create(layers.Flatten), []],
  ["Identity", create(layers.Identity), []],
  ["Reshape", create(layers.Reshape), [[2, -1]]],
  ["Unflatten", create(layers.Unflatten), [1, [2, 2]]],
  ["Concat", create(layers.Concat), [1]],
  ["Slice", create(layers.Slice), [1, 0, 2, { step: 1 }]],
  ["ChannelShuffle", create(layers.ChannelShuffle), [2]],
  ["Permute", create(layers.Permute), [[0, 2, 1]]],
  ["ConstantPad2d", create(layers.ConstantPad2d), [[1, 1, 1, 1], 0]],
  ["ZeroPad2d", create(layers.ZeroPad2d), [1]],
  ["ReflectionPad2d", create(layers.ReflectionPad2d), [[1, 1, 0, 0]]],
  ["ReplicationPad2d", create(layers.ReplicationPad2d), [1]],
  ["Upsample", create(layers.Upsample), [{ size: undefined, scaleFactor: 2, mode: "nearest" }]],
  ["Dropout", create(layers.Dropout), [0.5]],
  ["StochasticDepth", create(layers.StochasticDepth), [0.5]],
  ["Sequential", create(layers.Sequential), [[new layers.ReLU()]]],
  ["Graph", create(layers.Graph), [[{ name: "relu", layer: new layers.ReLU() }], {}]],
  ["Parameter", create(layers.Parameter), [[2, 3], () => {}, { isBuffer: true }]],
];

Deno.test("the constructors of layers refuse arguments of every wrong type", async () => {
  using backend = new WasmBackend();
  const tested = new Set(constructors.map(([name]) => name));
  const untested = Object.keys(layers).filter((name) =>
    /^[A-Z]/.test(name) &&
    !/^(Layer|MergeLayer|GraphBuilder|Conv|ConvTranspose|BatchNorm|RowNorm|AxisActivation|Elementwise\w+)$/
      .test(name) &&
    !tested.has(name)
  );
  assertEquals(untested, []);
  await checkHostile(backend, constructors, []);
});

Deno.test("the methods of layers refuse arguments of every wrong type", async () => {
  using backend = new WasmBackend();
  const ones = (shape: number[]) =>
    backend.upload(new Float32Array(shape.reduce((a, b) => a * b)).fill(1), shape);
  const x = ones([2, 4, 4, 4]), row = ones([2, 4, 4]), matrix = ones([2, 4]);
  const kinds: [layers.Layer, typeof x][] = [
    [new layers.ReLU(), x],
    [new layers.GELU(), x],
    [new layers.PReLU(4), x],
    [new layers.Softmax(1), x],
    [new layers.Conv2d(4, 4, 3, { padding: 1 }), x],
    [new layers.Conv1d(4, 4, 3, { padding: 1 }), row],
    [new layers.ConvTranspose2d(4, 4, 3, { padding: 1 }), x],
    [new layers.Linear(4, 4), matrix],
    [new layers.BatchNorm2d(4), x],
    [new layers.LayerNorm([4, 4]), x],
    [new layers.GroupNorm(2, 4), x],
    [new layers.LocalResponseNorm(3), x],
    [new layers.MaxPool2d(2), x],
    [new layers.AvgPool2d(2), x],
    [new layers.AdaptiveAvgPool2d(2), x],
    [new layers.AdaptiveMaxPool2d(2), x],
    [new layers.Flatten(), x],
    [new layers.Identity(), x],
    [new layers.Reshape([-1, 2]), x],
    [new layers.Slice(1, 1, 3), x],
    [new layers.ChannelShuffle(2), x],
    [new layers.Permute([0, 2, 3, 1]), x],
    [new layers.ZeroPad2d(1), x],
    [new layers.Upsample({ scaleFactor: 2 }), x],
    [new layers.Dropout(0.5), x],
    [new layers.StochasticDepth(0.5), x],
    [
      new layers.Sequential([
        new layers.Conv2d(4, 4, 3, { padding: 1 }),
        new layers.ReLU(),
        new layers.MaxPool2d(2),
        new layers.Flatten(),
        new layers.Linear(16, 3),
      ]),
      x,
    ],
  ];
  for (const [layer, input] of kinds) {
    layer.init(backend);
    layer.forward(input).dispose(); // packs weights, and plans
    const calls: Call[] = [
      [`${layer.type}.forward`, (...args) => layer.forward(...args as [typeof x]), [input, {}]],
      [`${layer.type}.outputShape`, (shape) => layer.outputShape(shape), [[...input.shape]]],
      [`${layer.type}.macs`, (shape) => layer.macs(shape), [[...input.shape]]],
    ];
    // plans and tables belong to the last shape that a layer was given
    if (["Sequential", "Upsample"].includes(layer.type)) calls.shift();
    await checkHostile(backend, calls, [x, row, matrix]);
    const dy = layer.forward(input);
    const backward: Call = [`${layer.type}.backward`, (gradient) => {
      layer.train();
      using _ = layer.forward(input);
      try {
        return layer.backward(gradient);
      } finally {
        layer.zeroGrad();
        layer.eval();
        for (const { grad } of layer.stateDict().values()) grad?.dispose();
        for (const parameter of layer.stateDict().values()) parameter.grad = undefined;
      }
    }, [dy]];
    layer.train().eval(); // drops the plan
    await checkHostile(backend, [backward], [x, row, matrix, dy]);
    const init: Call = [`${layer.type}.init`, (...args) => {
      return new layers.Linear(2, 2).init(...args as [WasmBackend]);
    }, [backend, { seed: 1, generator: undefined }]];
    const train: Call = ["train", (...args) => {
      try {
        layer.train(...args as []);
      } finally {
        layer.eval();
      }
    }, [new RandomGenerator(1)]];
    await checkHostile(backend, layer.type === "Linear" ? [init, train] : [train], []);
    dy.dispose();
  }
});

Deno.test("networks and weights refuse arguments of every wrong type", async () => {
  using backend = new WasmBackend();
  const x = backend.upload(new Float32Array(128).fill(1), [2, 4, 4, 4]);
  const { Conv2d, Flatten, Linear } = layers;
  using net = new layers.Sequential({ conv: new Conv2d(4, 4, 3), flat: new Flatten() });
  using int8 = new Linear(4, 4, { precision: "int8" }).init(backend);
  const { weight } = int8.parameters, { bias } = net.init(backend).leaves()[0][1].parameters;
  net.outputsOf(x, []); // plans
  await checkHostile(backend, [
    ["outputsOf", (names) => {
      for (const y of net.outputsOf(x, names)) y.dispose();
    }, [["flat"]]],
    ["freeze", (options) => void net.freeze(options), [{ except: ["conv"] }]],
    ["write", (...args) => bias!.write(...args as [Float32Array]), [new Float32Array(4), 0]],
    ["write in 8 bits", (...args) => {
      try {
        weight.write(...args as [Float32Array]);
      } finally {
        weight.write(new Float32Array(16)); // frees what is left of rows that are not complete
      }
    }, [new Float32Array(16), 0]],
    ["foldBatchNorm", layers.foldBatchNorm as Call[1], [net, net]],
  ], [x]);
});

Deno.test("layers with several inputs refuse arguments of every wrong type", async () => {
  using backend = new WasmBackend();
  const x = backend.upload(new Float32Array(24).fill(1), [1, 2, 3, 4]);
  const gate = backend.upload([1, 2], [1, 2, 1, 1]);
  for (const layer of [new layers.Add(), new layers.Mul()]) {
    const { type } = layer;
    await checkHostile(backend, [
      [`${type}.forward`, (...args) => layer.forward(...args as [typeof x[]]), [[x, gate], {}]],
      [`${type}.forward element`, (a, b, options) => layer.forward([a, b], options), [x, gate, {}]],
      [`${type}.outputShape`, (shapes) => layer.outputShape(shapes), [[[1, 2, 3, 4], [1]]]],
      [`${type}.outputShape element`, (a, b) => layer.outputShape([a, b]), [[2, 2], [2, 1]]],
      [`${type}.backward`, (dy) => layer.backward(dy), [x]],
      [`${type}.backwardInto`, (dy) => {
        layer.train();
        using _ = layer.forward([x, gate]);
        for (const gradient of layer.backwardInto(dy)) if (gradient !== dy) gradient.dispose();
        layer.eval();
      }, [x]],
    ], [x, gate]);
  }
});

Deno.test("optimisers, trainers and schedules refuse arguments of every wrong type", async () => {
  using backend = new WasmBackend();
  using model = new layers.Linear(2, 2).init(backend);
  const data = training.arrayDataset(new Float32Array([1, 0, 0, 1]), [0, 1], [2]);
  Object.setPrototypeOf(data, Object.create(Object.prototype)); // its members stay as they are
  const optimizer = new training.SGD(model, { lr: 0.1 });
  const sgd = { lr: 0.1, momentum: 0.9, weightDecay: 0.1, nesterov: true };
  const adamw = { lr: 0.1, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0.1 };
  const trainer = {
    optimizer,
    batchSize: 2,
    epochs: 1,
    schedule: undefined,
    clipNorm: 1,
    labelSmoothing: 0.1,
    seed: 1,
  };
  const calls: Call[] = [
    ["SGD", create(training.SGD), [model, sgd]],
    ["AdamW", create(training.AdamW), [model, adamw]],
    ["Trainer", create(training.Trainer), [model, data, trainer]],
    ["cosineSchedule", (o) => training.cosineSchedule(o), [
      { lr: 0.1, steps: 10, warmUp: 2, minLr: 0.01 },
    ]],
    ["stepSchedule", (o) => training.stepSchedule(o), [
      { lr: 0.1, every: 10, warmUp: 2, gamma: 0.1 },
    ]],
    ["clipGradNorm", (m, norm) => training.clipGradNorm(m, norm), [model, 1]],
    ["arrayDataset", training.arrayDataset as Call[1], [new Float32Array(4), [0, 1], [2]]],
    ["evaluate", training.evaluate as Call[1], [model, data, { batchSize: 2 }]],
    ["saveCheckpoint", (t) => training.saveCheckpoint(t), [
      new training.Trainer(model, data, trainer as training.TrainerOptions),
    ]],
    ["loadCheckpoint", training.loadCheckpoint as Call[1], [
      new training.Trainer(model, data, trainer as training.TrainerOptions),
      new Uint8Array(10),
      "file",
    ]],
  ];
  await checkHostile(
    backend,
    calls,
    [...model.stateDict().values()].map(({ tensor }) => tensor!),
  );
});

Deno.test("errors of constructors name the class, not its base class", () => {
  const { BatchNorm1d, BatchNorm2d, LogSoftmax, ReflectionPad2d, Softmax, ZeroPad2d } = layers;
  const classes = [BatchNorm1d, BatchNorm2d, LogSoftmax, ReflectionPad2d, Softmax, ZeroPad2d];
  for (const Class of classes) {
    assertMatch(assertThrows(() => new Class(0.5)).message, new RegExp(`^${Class.name}: `));
  }
});
