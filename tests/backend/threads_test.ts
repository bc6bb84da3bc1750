import { kernelsOf } from "../../src/backend/interface.ts";
import { createBackend } from "../../src/backend/mod.ts";
import { supportedBuilds, threadedBuilds } from "../../src/backend/wasm/binary.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { BatchNorm2d, Conv2d, Flatten, Linear } from "../../src/layers/mod.ts";
import { Dropout, MaxPool2d, ReLU, Sequential } from "../../src/layers/mod.ts";
import { conv2d, crossEntropy, relu } from "../../src/ops/mod.ts";
import { Tensor } from "../../src/tensor.ts";
import { AdamW, type Optimizer, SGD } from "../../src/train/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { bits, Draw, upload } from "./harness.ts";

const mod = new URL("../../mod.ts", import.meta.url).href;

/** Runs a program of its own, which must end by itself, and returns what it printed. */
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
  const said = new TextDecoder().decode(stderr);
  assertEquals(code, 0, said);
  return new TextDecoder().decode(stdout).trim();
}

/** Three steps of training a network of many kinds of layers; all its values at the end. */
async function trained(
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

/** A convolution that falls into so many boxes of tiles that threads take whole ones. */
async function convolved(backend: Backend): Promise<Int32Array[]> {
  const draw = new Draw(6);
  using x = upload(backend, draw.floats([40, 64, 26, 27]));
  using w = upload(backend, draw.floats([64, 64, 3, 3]));
  using y = conv2d(x, w, null, { padding: 1, activation: "relu", algorithm: "winograd" });
  return [bits(await y.read())];
}

/** Fully connected layers in 8 bits, for one sample and several. */
async function rounded(backend: Backend): Promise<Int32Array[]> {
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

const works: Record<string, (backend: Backend) => Promise<Int32Array[]>> = {
  "training with SGD": (backend) =>
    trained(backend, (net) => new SGD(net, { lr: 0.05, momentum: 0.9, weightDecay: 1e-3 })),
  "training with AdamW": (backend) => trained(backend, (net) => new AdamW(net, { lr: 1e-3 })),
  "a large batch": convolved,
  "8 bits": rounded,
};

for (const [name, work] of Object.entries(works)) {
  Deno.test(`every number of threads gives the same bits: ${name}`, async () => {
    const [single] = supportedBuilds();
    using alone = new WasmBackend(single);
    const expected = await work(alone);
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

Deno.test("a kernel that throws leaves nobody waiting", async () => {
  using backend = await createBackend({ threads: 2 });
  using x = backend.upload(new Float32Array(1 << 20), [1 << 20]);
  using y = relu(x);
  // an address behind the memory's end, which nothing that is checked leads to
  const outside = { address: 0xfffffff0, bytes: 1 << 22, freed: false, version: 0 };
  const broken = new Tensor(backend, [1 << 20], outside, Float32Array, false);
  for (let i = 0; i < 20; i++) {
    kernelsOf(backend).relu(y, x);
    assertThrows(() => kernelsOf(backend).relu(broken, x), WebAssembly.RuntimeError);
  }
  kernelsOf(backend).relu(y, x);
  assertEquals((await y.read())[7], 0);
});

Deno.test("threads do not lose each other in ten thousand small kernels", async () => {
  for await (const build of threadedBuilds()) {
    using backend = (await WasmBackend.withThreads(4, build))!;
    using x = backend.upload(Float32Array.from({ length: 40_000 }, (_, i) => i - 20_000), [40_000]);
    using y = backend.empty([40_000]);
    for (let i = 0; i < 10_000; i++) {
      relu(x, { out: y });
      if (i % 1000 < 5) await new Promise((resolve) => setTimeout(resolve, 2)); // they fall asleep
    }
    assertEquals(bits(await y.read()), bits((await x.read()).map((v) => Math.max(v, 0))));
  }
});

Deno.test("createBackend() takes as many threads as it is told", async () => {
  for (const threads of [1, 2, 5]) {
    using backend = await createBackend({ threads });
    assertEquals(backend.threads, threads);
  }
  using backend = await createBackend({ threads: "auto" });
  assertEquals(backend.threads, Math.min(navigator.hardwareConcurrency, 16));
});

Deno.test("createBackend() refuses what is no number of threads", async () => {
  // deno-lint-ignore no-explicit-any
  for (const threads of [0, -1, 1.5, NaN, 65, "2", null] as any[]) {
    const error = await assertRejects(() => createBackend({ threads }), ArgumentError);
    assert(error.message.endsWith('must be "auto" or a whole number from 1 to 64'), error.message);
  }
});

Deno.test("the caller's own module computes on one thread", async () => {
  const [{ module }] = supportedBuilds();
  using backend = await createBackend({ module, threads: 4 });
  assertEquals(backend.threads, 1);
});

Deno.test("a backend with threads that was disposed refuses to compute", async () => {
  const backend = await createBackend({ threads: 2 });
  const x = backend.upload([1], [1]);
  backend.dispose();
  backend.dispose();
  assertThrows(() => relu(x), PembrokeError, "disposed");
});

Deno.test("a program ends though it forgets its backend, and needs no permission", async () => {
  const source = `import { createBackend } from ${JSON.stringify(mod)};
const backend = await createBackend({ threads: 3 });
console.log(backend.threads);`;
  assertEquals(await program(source), "3");
});

// elsewhere the system does not tell as simply which threads there are
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

Deno.test("without shared memory, or workers, there is one thread", async () => {
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
  // an old edge runtime: nobody is told of what was forgotten, everything else is as ever
  assertEquals(await program(source("delete globalThis.FinalizationRegistry;")), "4 9");
});

Deno.test("without node:worker_threads the workers are a page's", async () => {
  const source = `process.getBuiltinModule = undefined;
const { createBackend, relu } = await import(${JSON.stringify(mod)});
const backend = await createBackend({ threads: 3 });
using x = backend.upload([-1, 1], [2]);
using y = relu(x);
console.log(backend.threads, ...await y.read());
backend.dispose(); // without which a page's workers keep a program alive`;
  assertEquals(await program(source), "3 0 1");
});
