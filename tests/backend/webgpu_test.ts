import { kernelsOf } from "../../src/backend/interface.ts";
import { createBackend } from "../../src/backend/mod.ts";
import { WebGpuBackend } from "../../src/backend/webgpu.ts";
import { DeviceLostError, PembrokeError } from "../../src/errors.ts";
import { Conv2d, Sequential } from "../../src/layers/mod.ts";
import { AlexNet } from "../../src/models/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import { elements } from "../../src/tensor.ts";
import { arrayDataset, evaluate, SGD, Trainer } from "../../src/train/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import {
  gpuInfo,
  overrideAdapterInfo,
  reportSkippedWebGpuTests,
  testWithAdapter,
  withGpuFiles,
  withReplaced,
} from "../webgpu.ts";
import { Draw, largest, upload } from "./harness.ts";
import { make, network, pass } from "./small_network.ts";

const sgd = { lr: 0.1, momentum: 0, weightDecay: 0.1, nesterov: false };

reportSkippedWebGpuTests();

testWithAdapter("AlexNet's logits match those of Wasm", async () => {
  using backend = await WebGpuBackend.create({ software: true, maxBinding: 16 * 2 ** 20 });
  using wasm = await createBackend({ device: "wasm" });
  const image = new Draw(2).floats([1, 3, 224, 224], -2, 2), logits: Float32Array[] = [];
  for (const on of [backend, wasm]) {
    using model = new AlexNet({ hiddenFeatures: 1024 }).init(on, { seed: 0 });
    using x = upload(on, image);
    using y = model.forward(x);
    logits.push(await y.read());
  }
  const abs = 1e-3 * largest({ shape: [1000], data: logits[1] });
  assertAllClose(logits[0], logits[1], { abs });
});

testWithAdapter("a small network learns as well as on Wasm", async () => {
  const draw = new Draw(3), images = draw.floats([128, 1, 8, 8]);
  const labels = Array.from({ length: 128 }, (_, i) => { // which half is brighter
    const half = (from: number) =>
      images.data.subarray(i * 64 + from, i * 64 + from + 32).reduce((a, b) => a + b, 0);
    return half(0) > half(32) ? 1 : 0;
  });
  const data = arrayDataset(images.data, labels, [1, 8, 8]);
  const accuracies: number[] = [];
  for (const device of ["webgpu", "wasm"] as const) {
    using backend = await createBackend({ device });
    using net = network().init(backend, { seed: 1 });
    using optimizer = new SGD(net, { lr: 0.05, momentum: 0.9 });
    const trainer = new Trainer(net, data, { optimizer, batchSize: 32, epochs: 12, seed: 1 });
    for await (const _ of trainer);
    accuracies.push((await evaluate(net.eval(), data)).accuracy);
  }
  assert(accuracies[1] > 0.95, `Wasm learned ${accuracies[1]}`);
  assertAllClose([accuracies[0]], [accuracies[1]], { abs: 0.01 });
});

testWithAdapter("tensors too large for a binding or a grid are processed in parts", async () => {
  const limits = { maxBinding: 8192, maxGridWidth: 3 };
  using limited = await WebGpuBackend.create({ software: true, ...limits });
  using wasm = await createBackend({ device: "wasm" });
  using grids = recordGrids();
  const results: Float32Array[][] = [];
  for (const backend of [limited, wasm]) {
    const draw = new Draw(4);
    const tensor = (...shape: number[]) => upload(backend, draw.floats(shape));
    // 2 KiB for each sample, 25.6 KB of weights
    const x = tensor(6, 2, 16, 16), w = tensor(3, 2, 3, 3), dy = tensor(6, 3, 16, 16);
    const rows = tensor(5, 64), weights = tensor(100, 64), slope = tensor(5, 100);
    const many = tensor(17, 24), few = tensor(100, 24);
    const ones = upload(backend, { shape: [5, 8], data: new Float32Array(40).fill(1) });
    const integers = Float32Array.from({ length: 19 * 8 }, (_, i) => Math.floor(i / 8));
    const quantized = ops.quantizeLinear(upload(backend, { shape: [19, 8], data: integers }));
    const maxima = ops.maxPool2dWithIndices(x, { kernelSize: 2 }), padding = 1;
    const outputs = [
      ops.conv2d(x, w, null, { padding, activation: "relu" }),
      ops.conv2dBackwardInput(dy, w, x.shape, { padding }),
      ops.conv2dBackwardWeight(dy, x, w.shape, { padding }),
      ops.biasBackward(dy),
      maxima.output,
      ops.maxPoolBackward(maxima.output, maxima.indices, x.shape),
      ops.linear(rows, weights, null),
      ops.linear(many, few, null, { activation: "relu" }),
      ops.linear(ones, quantized, null),
      ops.linearBackwardInput(slope, weights),
      ops.linearBackwardWeight(slope, rows),
      ops.softmax(x, 1),
      ops.localResponseNorm(x, 3),
      ops.dropout(x, 0.5, 7),
      ops.cat([x, dy], 1),
      ops.permute(x, [2, 0, 3, 1]),
      ops.pad(x, [1, 0, 2, 3]),
      ops.groupNorm(x, 2),
    ];
    const gradient = tensor(6, 2, 16, 16);
    kernelsOf(backend).axpby(x, gradient, 0.5, 0.25);
    kernelsOf(backend).sgdStep(x, gradient, null, sgd);
    const read = await Promise.all([...outputs, x].map((tensor) => tensor.read()));
    results.push([...read, new Float32Array([await kernelsOf(backend).squaredNorm(dy)])]);
  }
  assertEquals(Math.max(...grids.widths), 3);
  for (const [i, values] of results[0].entries()) {
    assertAllClose(values, results[1][i], { abs: 1e-4, rel: 1e-5, name: `result ${i}` });
  }
});

/** Records how many workgroups each dispatch has in a row of its grid. */
function recordGrids(): Disposable & { readonly widths: number[] } {
  const { prototype } = GPUComputePassEncoder, { dispatchWorkgroups } = prototype;
  const widths: number[] = [];
  prototype.dispatchWorkgroups = function (...groups) {
    widths.push(groups[0]);
    return dispatchWorkgroups.apply(this, groups);
  };
  return {
    widths,
    [Symbol.dispose]: () => void (prototype.dispatchWorkgroups = dispatchWorkgroups),
  };
}

testWithAdapter("sums of tens of thousands of products are complete", async () => {
  using backend = await WebGpuBackend.create({ software: true });
  const ones = (...shape: number[]) =>
    upload(backend, { shape, data: new Float32Array(elements(shape)).fill(1) });
  const k = 50_000, bias = ones(1), activation = "relu6";
  const outputs = [
    ops.conv2d(ones(1, k, 1, 1), ones(1, k, 1, 1), bias, { residual: ones(1, 1, 1, 1) }),
    ops.conv2d(ones(1, k, 1, 1), ones(1, k, 1, 1), bias, { activation }),
    ops.conv2dBackwardInput(ones(1, k, 1, 1), ones(k, 1, 1, 1), [1, 1, 1, 1]),
    ops.linear(ones(17, k), ones(1, k), bias),
    ops.linearBackwardInput(ones(1, k), ones(k, 1)),
  ];
  const firsts = outputs.map(async (tensor) => (await tensor.read())[0]);
  assertEquals(await Promise.all(firsts), [k + 2, 6, k, k + 1, k]);
});

testWithAdapter("tensors that do not fit a buffer or a binding are refused", async () => {
  using backend = await WebGpuBackend.create({ software: true, maxBinding: 1024 });
  using x = backend.empty([1, 1, 32, 32]);
  const unbound = assertThrows(() => ops.maxPool2d(x, { kernelSize: 2 }), PembrokeError);
  assertEquals(
    unbound.message,
    `maxPool2d: needs 4096 bytes at a time, more than the 1024 bytes that ${backend.name} can bind`,
  );
  // WebGPU's default limit is 256 MiB
  const unallocated = assertThrows(() => backend.empty([2 ** 26 + 1]), PembrokeError);
  assertEquals(
    unallocated.message,
    `out of memory: 257 MiB for one tensor, more than the 256 MiB that ${backend.name} takes`,
  );
});

testWithAdapter("the loss of a device before, during or after a run is reported", async () => {
  for (const when of ["before", "during", "after"]) {
    const { backend, device } = await make();
    using _backend = backend;
    const net = new Sequential([new Conv2d(1, 1, 1)]).init(backend, { seed: 1 });
    if (when === "after") await pass(net);
    const running = when === "during" ? pass(net) : undefined;
    device.destroy();
    if (running) {
      // submitted work may still finish, and then it is correct
      const outcome = await running.catch((error) => error);
      assert(
        outcome instanceof Float32Array || outcome instanceof DeviceLostError,
        String(outcome),
      );
    }
    await device.lost;
    const error = await assertRejects(() => pass(net), DeviceLostError, "webgpu: ");
    assertEquals(error.message.split("\n").length, 1);
    assertThrows(() => backend.empty([1]), DeviceLostError);
    net.dispose();
  }
});

testWithAdapter("a shader that does not compile is an error, not a wrong result", async () => {
  const { backend, device } = await make();
  using _backend = backend;
  const { createShaderModule } = device;
  device.createShaderModule = ({ code }) =>
    createShaderModule.call(device, { code: code.replace("fn main", "fn main main") });
  using x = backend.upload([-1, 2], [2]);
  using y = ops.relu(x);
  const error = await assertRejects(() => y.read(), DeviceLostError, "webgpu: ");
  assertEquals(error.message.split("\n").length, 1);
});

testWithAdapter("disposing the backend during a read is no lost device", async () => {
  const backend = await WebGpuBackend.create({ software: true });
  const read = backend.upload([1], [1]).read();
  backend.dispose();
  const error = await assertRejects(() => read, PembrokeError, "the backend was disposed");
  assert(!(error instanceof DeviceLostError));
});

testWithAdapter(
  "createBackend() refuses software adapters",
  () =>
    withGpuFiles(async () => {
      using _info = overrideAdapterInfo({ isFallbackAdapter: true });
      const reasons: PembrokeError[] = [];
      using backend = await createBackend({ onFallback: (reason) => reasons.push(reason) });
      assertEquals(backend.device, "wasm");
      assertEquals(reasons.length, 1);
      assert(/^webgpu: the adapter \(.*\) is a software adapter$/.test(reasons[0].message));
      using forced = await createBackend({ device: "webgpu" });
      assertEquals(forced.device, "webgpu");
    }),
);

testWithAdapter("createBackend() uses a GPU, and names it", () =>
  withGpuFiles(async () => {
    using _info = overrideAdapterInfo(gpuInfo);
    using backend = await createBackend();
    assertEquals([backend.device, backend.name], ["webgpu", "webgpu (a GPU)"]);
    // with its tile size
    using net = network().init(backend, { seed: 1 });
    using wasm = await createBackend({ device: "wasm" });
    using same = network().init(wasm, { seed: 1 });
    assertAllClose(await pass(net), await pass(same), { abs: 1e-5 });
  }));

const gpu = navigator.gpu && Object.getPrototypeOf(navigator.gpu) as GPU;

testWithAdapter(
  "createBackend() falls back to Wasm without an adapter",
  () =>
    withGpuFiles(async () => {
      await withReplaced(gpu, "requestAdapter", () => Promise.resolve(null), async () => {
        const reasons: PembrokeError[] = [];
        using backend = await createBackend({ onFallback: (reason) => reasons.push(reason) });
        assertEquals(backend.device, "wasm");
        assertEquals(reasons.map(({ message }) => message), [
          "webgpu: this machine has no adapter",
        ]);
        const forced = await assertRejects(
          () => createBackend({ device: "webgpu" }),
          PembrokeError,
        );
        assertEquals(forced.message, "webgpu: this machine has no adapter");
      });
    }),
);

testWithAdapter("an adapter without a device is a one-line error", async () => {
  await withReplaced(
    GPUAdapter.prototype,
    "requestDevice",
    () => Promise.reject(new TypeError("too many\ndevices")),
    async () => {
      const create = () => createBackend({ device: "webgpu" });
      const error = await assertRejects(create, DeviceLostError, "provides no device");
      assertEquals(error.message.split("\n").length, 1);
    },
  );
});

/** Makes dispatch number n, from 1 on, fail. */
function failDispatch(n: number, fail: () => void): Disposable & { readonly failed: boolean } {
  const { prototype } = GPUComputePassEncoder, { dispatchWorkgroups } = prototype;
  let count = 0;
  prototype.dispatchWorkgroups = function (...groups) {
    if (++count === n) fail();
    return dispatchWorkgroups.apply(this, groups);
  };
  return {
    get failed() {
      return count >= n;
    },
    [Symbol.dispose]: () => void (prototype.dispatchWorkgroups = dispatchWorkgroups),
  };
}

const losses: Record<string, (device: GPUDevice) => void> = {
  "loses the device": (device) => device.destroy(),
  "throws": () => {
    throw new TypeError("the device is gone");
  },
};
for (const [what, lose] of Object.entries(losses)) {
  testWithAdapter(`a pass or a training step in which a dispatch ${what} says so`, async () => {
    const dataset = arrayDataset(new Draw(2).floats([128]).data, [1, 2], [1, 8, 8]);
    const works: Record<string, (net: Sequential) => Promise<unknown>> = {
      pass,
      step: async (net) => {
        using optimizer = new SGD(net, { lr: 0.1, momentum: 0.9 });
        const trainer = new Trainer(net, dataset, { optimizer, batchSize: 2, epochs: 1 });
        await trainer.step();
        return await net.stateDict().get("0.weight")!.tensor!.read();
      },
    };
    for (const [name, work] of Object.entries(works)) {
      for (let n = 1;; n += name === "step" ? 3 : 1) { // a step begins like a pass
        const { backend, device } = await make();
        using _ = backend;
        const net = network().init(backend, { seed: 1 });
        using fault = failDispatch(n, () => lose(device));
        const outcome = await work(net).then(() => "done", (error) => error);
        fault[Symbol.dispose]();
        if (!fault.failed) {
          assertEquals(outcome, "done");
          assert(n > 3, "there are several dispatches");
          break;
        }
        assert(outcome instanceof DeviceLostError, `${name}, dispatch ${n}: ${outcome}`);
        await assertRejects(async () => await pass(net), DeviceLostError);
        net.dispose();
        assertEquals(backend.bytesInUse, 0, `${name}, dispatch ${n}`);
      }
    }
  });
}
