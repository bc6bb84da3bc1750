import { kernelsOf } from "../../src/backend/interface.ts";
import { createBackend } from "../../src/backend/mod.ts";
import { instantiate, threadedBuilds } from "../../src/backend/wasm/binary.ts";
import { activationKindCodes } from "../../src/backend/wasm/generated/geometry.ts";
import { sharedMemory } from "../../src/backend/wasm/memory.ts";
import { supportedBuilds } from "../../src/backend/wasm/one_thread.ts";
import { threadBytes } from "../../src/backend/wasm/threads.ts";
import { words } from "../../src/backend/wasm/worker.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { BatchNorm2d, Conv2d, Flatten, Linear } from "../../src/layers/mod.ts";
import { Dropout, MaxPool2d, ReLU, Sequential } from "../../src/layers/mod.ts";
import {
  adaptiveAvgPool2d,
  avgPool2d,
  avgPool2dBackward,
  conv2d,
  conv2dBackwardInput,
  conv2dBackwardWeight,
  crossEntropy,
  localResponseNorm,
  localResponseNormBackward,
  logSoftmax,
  logSoftmaxBackward,
  maxPool2d,
  maxPool2dWithIndices,
  maxPoolBackward,
  relu,
  softmax,
  softmaxBackward,
} from "../../src/ops/mod.ts";
import { Tensor } from "../../src/tensor.ts";
import { AdamW, type Optimizer, SGD } from "../../src/train/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { bits, Draw, upload } from "./harness.ts";

const mod = new URL("../../mod.ts", import.meta.url).href;

/** Runs a program in a new process, which must end by itself, and returns its output. */
async function program(source: string, permissions: string[] = []): Promise<string> {
  const args = [
    "run",
    "--quiet",
    ...permissions,
    `data:application/typescript,${encodeURIComponent(source)}`,
  ];
  const signal = AbortSignal.timeout(60_000);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, signal })
    .output();
  const errors = new TextDecoder().decode(stderr);
  assertEquals(code, 0, errors);
  return new TextDecoder().decode(stdout).trim();
}

/** Trains a network of many kinds of layers for three steps, and returns all its values. */
async function train(
  backend: Backend,
  optimizerOf: (net: Sequential) => Optimizer,
): Promise<Int32Array[]> {
  using net = new Sequential([
    new Conv2d(3, 20, 5, { stride: 2, padding: 2 }),
    new BatchNorm2d(20),
    new ReLU(),
    new Conv2d(20, 24, 3, { padding: 1 }),
    new ReLU(),
    new MaxPool2d(2),
    new Conv2d(24, 10, 3, { padding: 1, stride: 2 }),
    new Flatten(),
    new Dropout(0.3),
    new Linear(90, 50),
    new ReLU(),
    new Linear(50, 7),
  ]).init(backend, { seed: 4 }).train();
  using optimizer = optimizerOf(net);
  using x = upload(backend, new Draw(5).floats([9, 3, 22, 21]));
  for (let i = 0; i < 3; i++) {
    optimizer.zeroGrad();
    using logits = net.forward(x);
    const { loss, gradient } = crossEntropy(
      logits,
      Int32Array.from({ length: 9 }, (_, i) => i % 7),
    );
    net.backwardParameters(gradient);
    optimizer.step();
    loss.dispose();
    gradient.dispose();
  }
  const tensors = [...net.stateDict().values()].map(({ tensor }) => tensor!.read());
  return (await Promise.all(tensors)).map(bits);
}

/**
 * Runs convolutions with so many tiles that each thread computes whole boxes: of many samples, and
 * of one.
 */
async function convolve(backend: Backend): Promise<Int32Array[]> {
  const draw = new Draw(6), results: Promise<Float32Array>[] = [];
  for (const shape of [[40, 64, 26, 27], [1, 9, 70, 65]]) {
    using x = upload(backend, draw.floats(shape)),
      w = upload(backend, draw.floats([64, shape[1], 3, 3]));
    using y = conv2d(x, w, null, { padding: 1, activation: "relu", algorithm: "winograd" });
    results.push(y.read());
  }
  return (await Promise.all(results)).map(bits);
}

/** Runs a fully connected layer in 8 bits, for one sample and several. */
async function multiplyInt8(backend: Backend): Promise<Int32Array[]> {
  const draw = new Draw(7);
  using layer = new Linear(701, 203).init(backend, { seed: 3 });
  layer.quantize();
  const outputs = [1, 5].map(async (n) => {
    using x = upload(backend, draw.floats([n, 701]));
    using y = layer.forward(x);
    return bits(await y.read());
  });
  return await Promise.all(outputs);
}

/** Runs depthwise convolutions forward and backward, with planes of one strip and of several. */
async function convolveDepthwise(backend: Backend): Promise<Int32Array[]> {
  const draw = new Draw(8), results: Promise<Float32Array>[] = [];
  for (const [size, stride] of [[13, 1], [130, 2]]) {
    const options = { padding: 1, stride, groups: 5 };
    using x = upload(backend, draw.floats([2, 5, size, size])),
      w = upload(backend, draw.floats([10, 1, 3, 3]));
    using y = conv2d(x, w, null, options), dx = conv2dBackwardInput(y, w, x.shape, options);
    using dw = conv2dBackwardWeight(y, x, w.shape, options);
    results.push(y.read(), dx.read(), dw.read());
  }
  return (await Promise.all(results)).map(bits);
}

/**
 * Runs poolings of so many planes that all threads get some, and the last item fewer than the
 * others.
 */
async function pool(backend: Backend): Promise<Int32Array[]> {
  using x = upload(backend, new Draw(9).floats([3, 37, 31, 42])); // items of 12 planes
  const shape = { kernelSize: 3, stride: 2, padding: [1, 0], ceilMode: true } as const;
  using max = maxPool2d(x, shape), mean = avgPool2d(x, shape);
  using inside = avgPool2d(x, { ...shape, countIncludePad: false });
  using halves = adaptiveAvgPool2d(x, 2);
  const { output, indices } = maxPool2dWithIndices(x, shape);
  using dx = maxPoolBackward(output, indices, x.shape);
  using meanDx = avgPool2dBackward(mean, x.shape, shape);
  const results = [max, mean, inside, halves, output, dx, meanDx].map((tensor) => tensor.read());
  output.dispose();
  indices.dispose();
  return (await Promise.all(results)).map(bits);
}

/**
 * Local response normalisation, softmax along rows, and softmax along another axis, whose positions do
 * not fill a vector; and their gradients.
 */
async function normalise(backend: Backend): Promise<Int32Array[]> {
  const results: Promise<Float32Array>[] = [];
  using x = upload(backend, new Draw(10).floats([30, 70, 18], -4, 4));
  using responses = localResponseNorm(x, 5), slope = localResponseNormBackward(x, x, 5);
  results.push(responses.read(), slope.read());
  for (const dim of [-1, 1]) {
    for (
      const [op, backward] of [
        [softmax, softmaxBackward],
        [logSoftmax, logSoftmaxBackward],
      ] as const
    ) {
      using y = op(x, dim), dx = backward(x, y, dim);
      results.push(y.read(), dx.read());
    }
  }
  return (await Promise.all(results)).map(bits);
}

const workloads: Record<string, (backend: Backend) => Promise<Int32Array[]>> = {
  "training with SGD": (backend) =>
    train(backend, (net) => new SGD(net, { lr: 0.05, momentum: 0.9, weightDecay: 1e-3 })),
  "training with AdamW": (backend) => train(backend, (net) => new AdamW(net, { lr: 1e-3 })),
  "large convolutions": convolve,
  "8-bit weights": multiplyInt8,
  "depthwise convolutions": convolveDepthwise,
  "pooling": pool,
  "softmax and local response normalisation": normalise,
};

for (const [name, work] of Object.entries(workloads)) {
  Deno.test(`any number of threads gives the same bits: ${name}`, async () => {
    const [single] = supportedBuilds();
    using expectedBackend = new WasmBackend(single);
    const expected = await work(expectedBackend);
    for await (const build of threadedBuilds()) {
      if (build.name !== single.name) continue;
      for (const threads of [2, 3, 8]) {
        using backend = (await WasmBackend.withThreads(threads, build))!;
        assertEquals(backend.threads, threads);
        assertEquals(await work(backend), expected, `${threads} threads`);
      }
    }
  });
}

Deno.test("a kernel that throws leaves no thread waiting", async () => {
  using backend = await createBackend({ threads: 2 });
  using x = backend.upload(new Float32Array(1 << 20), [1 << 20]);
  using y = relu(x);
  const f = { kind: "relu", a: 0, b: 0 } as const;
  // an address behind the end of the memory, which checked calls never pass
  const outside = { address: 0xfffffff0, bytes: 1 << 22, freed: false, version: 0 };
  const broken = new Tensor(backend, [1 << 20], outside, Float32Array, false);
  for (let i = 0; i < 20; i++) {
    kernelsOf(backend).activation(y, x, f);
    assertThrows(() => kernelsOf(backend).activation(broken, x, f), WebAssembly.RuntimeError);
  }
  kernelsOf(backend).activation(y, x, f);
  assertEquals((await y.read())[7], 0);
});

Deno.test("threads stay in step for ten thousand small kernels", async () => {
  for await (const build of threadedBuilds()) {
    using backend = (await WasmBackend.withThreads(4, build))!;
    using x = backend.upload(Float32Array.from({ length: 40_000 }, (_, i) => i - 20_000), [40_000]);
    using y = backend.empty([40_000]);
    for (let i = 0; i < 10_000; i++) {
      relu(x, { out: y });
      if (i % 1000 < 5) await new Promise((resolve) => setTimeout(resolve, 2)); // let the workers fall asleep
    }
    assertEquals(bits(await y.read()), bits((await x.read()).map((v) => Math.max(v, 0))));
  }
});

/**
 * Kernels that run as one of several threads, the others of which never come, and the first free
 * address.
 */
async function loneThread(thread: number, threads: number) {
  const build = (await threadedBuilds().next()).value!, memory = sharedMemory()!;
  const kernels = instantiate(build.module, memory);
  const control = Math.ceil(kernels.heapBase() / 64) * 64, base = control + threadBytes(threads);
  kernels.setThread(thread, threads, control, control + threadBytes(thread), 1);
  kernels.beginKernel();
  return { build, memory, kernels, control, base };
}

/** Runs ReLU on −1s as one of several threads, when the words that they share have these values. */
async function reluAs(thread: number, threads: number, claims: bigint, done: number) {
  const { memory, kernels, control, base: x } = await loneThread(thread, threads);
  const shared = new DataView(memory.buffer, control), n = 50_000; // four items
  memory.grow(Math.ceil(n * 4 / 65536));
  shared.setBigUint64(words.claims * 4, claims, true);
  shared.setInt32(words.done * 4, done, true);
  const values = new Float32Array(memory.buffer, x, n).fill(-1);
  kernels.activation(x, x, n, activationKindCodes.relu, 0, 0);
  return {
    values: new Set(values),
    claims: shared.getBigUint64(words.claims * 4, true),
    done: shared.getInt32(words.done * 4, true),
  };
}

/** Checks several convolutions, one after the other, of so many groups of two channels. */
async function checkGroups(backend: Backend, groups: number, times: number): Promise<void> {
  const size = 2 * groups;
  const x = new Float32Array(size).map((_, i) => i % 7);
  const w = new Float32Array(size).map((_, i) => i % 3);
  const sum = (i: number) => x[i] * w[i] + x[i + 1] * w[i + 1];
  using tx = backend.upload(x, [1, size, 1, 1]), tw = backend.upload(w, [groups, 2, 1, 1]);
  for (let i = 0; i < times; i++) {
    using y = conv2d(tx, tw, null, { groups });
    assertEquals((await y.read()).findIndex((v, i) => v !== sum(2 * i)), -1);
  }
}

Deno.test("a thread claims more groups of channels than are counted from both ends", async () => {
  const { build, ...parts } = await loneThread(1, 2);
  using backend = new WasmBackend(build, parts);
  await checkGroups(backend, (1 << 22) + 3, 1);
});

Deno.test("a kernel begins without the claims of the one before", async () => {
  using backend = (await WasmBackend.withThreads(2))!;
  await checkGroups(backend, 10_000, 20);
});

Deno.test("half of the threads claim items from the front, half from the back", async () => {
  for (const [thread, threads] of [[0, 2], [1, 2], [0, 3], [1, 3], [2, 3], [7, 16], [8, 16]]) {
    const { values, claims, done } = await reluAs(thread, threads, 0n, 0);
    assertEquals([...values], [0]);
    assertEquals([claims, done], [thread < threads / 2 ? 4n : 4n << 22n, 4], `thread ${thread}`);
  }
});

Deno.test("a thread that is late computes nothing again, however far the others are", async () => {
  for (const phase of [1, 2, 2 ** 19, 2 ** 19 + 1, 2 ** 20 - 1, 2 ** 20]) { // the last counts as 0
    const one = BigInt(phase % 2 ** 20) << 44n | 1n;
    const { values, claims, done } = await reluAs(1, 2, one, 4);
    assertEquals([[...values], claims, done], [[-1], one, 4], `phase ${phase}`);
  }
});

Deno.test("threads stay in step for more phases than they count", async () => {
  const groups = 351_000; // of three phases each: 2²⁰ and some more
  using backend = (await WasmBackend.withThreads(2))!;
  const size = groups * 9, x = Float32Array.from({ length: size }, (_, i) => i % 7);
  using tx = backend.upload(x, [1, groups, 3, 3]);
  using dy = backend.upload(Float32Array.from({ length: groups }, (_, i) => i % 5), [
    1,
    groups,
    1,
    1,
  ]);
  const options = { groups, algorithm: "winograd" } as const;
  using dw = conv2dBackwardWeight(dy, tx, [groups, 1, 3, 3], options);
  assertAllClose(await dw.read(), x.map((v, i) => v * (Math.floor(i / 9) % 5)), { abs: 1e-4 });
});

Deno.test("createBackend() uses the requested number of threads", async () => {
  for (const threads of [1, 2, 5]) {
    using backend = await createBackend({ threads });
    assertEquals(backend.threads, threads);
  }
  using backend = await createBackend({ threads: "auto" });
  assertEquals(backend.threads, Math.min(navigator.hardwareConcurrency, 16));
});

Deno.test("createBackend() refuses invalid numbers of threads", async () => {
  // deno-lint-ignore no-explicit-any
  for (const threads of [0, -1, 1.5, NaN, 65, "2", null] as any[]) {
    const error = await assertRejects(() => createBackend({ threads }), ArgumentError);
    assert(error.message.endsWith('must be "auto" or a whole number from 1 to 64'), error.message);
  }
});

Deno.test("a module of the caller runs on one thread", async () => {
  const [{ module }] = supportedBuilds();
  using backend = await createBackend({ module, threads: 4 });
  assertEquals(backend.threads, 1);
});

Deno.test("a disposed backend with threads refuses to compute", async () => {
  const backend = await createBackend({ threads: 2 });
  const x = backend.upload([1], [1]);
  backend.dispose();
  backend.dispose();
  assertThrows(() => relu(x), PembrokeError, "disposed");
});

Deno.test("a program ends without disposing its backend, and needs no permission", async () => {
  const source = `import { createBackend } from ${JSON.stringify(mod)};
const backend = await createBackend({ threads: 3 });
console.log(backend.threads);`;
  assertEquals(await program(source), "3");
});

// other systems do not list threads as simply
const ignore = Deno.build.os !== "linux";
Deno.test("no worker outlives its backend", { ignore }, async () => {
  const source = `import { createBackend } from ${JSON.stringify(mod)};
const nameOf = (task) => {
  try {
    return Deno.readTextFileSync(\`/proc/self/task/\${task}/comm\`);
  } catch {
    return ""; // it has just ended
  }
};
const workers = () => [...Deno.readDirSync("/proc/self/task")]
  .filter(({ name }) => nameOf(name).startsWith("worker-")).length;
const backend = await createBackend({ threads: 4 });
const during = workers();
backend.dispose();
for (let i = 0; workers() > 0 && i < 200; i++) await new Promise((r) => setTimeout(r, 50));
console.log(during, workers());`;
  assertEquals(await program(source, ["--allow-all"]), "3 0");
});

Deno.test("without shared memory or workers there is one thread", async () => {
  const source = (missing: string) =>
    `${missing}
const { createBackend, conv2d } = await import(${JSON.stringify(mod)});
using backend = await createBackend({ threads: 4 });
using x = backend.upload(new Float32Array(9).fill(1), [1, 1, 3, 3]);
using y = conv2d(x, x, null);
console.log(backend.threads, (await y.read())[0]);`;
  const missing = [
    "delete globalThis.SharedArrayBuffer;",
    "process.getBuiltinModule = undefined; globalThis.Worker = undefined;",
  ];
  for (const line of missing) assertEquals(await program(source(line)), "1 9");
  // old edge runtimes lack it; the rest still works
  assertEquals(await program(source("delete globalThis.FinalizationRegistry;")), "4 9");
});

Deno.test("without node:worker_threads it uses web workers", async () => {
  const source = `process.getBuiltinModule = undefined;
const { createBackend, relu } = await import(${JSON.stringify(mod)});
const backend = await createBackend({ threads: 3 });
using x = backend.upload([-1, 1], [2]);
using y = relu(x);
console.log(backend.threads, ...await y.read());
backend.dispose(); // web workers would keep the program alive`;
  assertEquals(await program(source), "3 0 1");
});
