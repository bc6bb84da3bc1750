/** Workers that fail to start. */

import { threadedBuilds } from "../../src/backend/wasm/binary.ts";
import { supportedBuilds } from "../../src/backend/wasm/one_thread.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import { Conv2d, Flatten, Linear, ReLU, Sequential } from "../../src/layers/mod.ts";
import { crossEntropy } from "../../src/ops/mod.ts";
import { SGD } from "../../src/train/mod.ts";
import { assertEquals } from "../assert.ts";
import { bits, Draw, upload } from "./harness.ts";

type WorkerClass = new (url: URL, options: { workerData: unknown }) => unknown;

/** Node's module of workers, as the library gets it. */
// deno-lint-ignore no-explicit-any
const { process } = globalThis as any;

/** How a worker can fail. */
const faults: Record<string, (Worker: WorkerClass, url: URL) => unknown> = {
  "its constructor throws": () => {
    throw new Error("no more threads");
  },
  "its script throws": (Worker) => new Worker(new URL("data:text/javascript,throw 1"), none),
  "it ends before it is ready": (Worker) => new Worker(new URL("data:text/javascript,"), none),
};
const none = { workerData: undefined, env: {} };

/** Makes the workers whose numbers, from 1 on, are chosen fail. */
function failWorkers(
  chosen: (n: number) => boolean,
  fail: (Worker: WorkerClass, url: URL) => unknown,
): Disposable {
  const original = process.getBuiltinModule;
  let count = 0;
  process.getBuiltinModule = (name: string) => {
    const module = original.call(process, name);
    if (name !== "node:worker_threads") return module;
    const { Worker } = module;
    function FaultyWorker(url: URL, options: { workerData: unknown }) {
      return chosen(++count) ? fail(Worker, url) : new Worker(url, options);
    }
    return { ...module, Worker: FaultyWorker };
  };
  return { [Symbol.dispose]: () => void (process.getBuiltinModule = original) };
}

/** The logits of a network, and its parameters after a training step. */
async function trained(backend: WasmBackend): Promise<Int32Array[]> {
  using net = new Sequential([
    new Conv2d(3, 8, 3, { padding: 1 }),
    new ReLU(),
    new Flatten(),
    new Linear(8 * 12 * 12, 5),
  ]).init(backend, { seed: 1 });
  using optimizer = new SGD(net, { lr: 0.1, momentum: 0.5 });
  using x = upload(backend, new Draw(1).floats([4, 3, 12, 12]));
  using y = net.forward(x);
  net.train();
  using logits = net.forward(x);
  const { loss, gradient } = crossEntropy(logits, [0, 1, 2, 3]);
  net.backwardParameters(gradient);
  optimizer.step();
  loss.dispose();
  gradient.dispose();
  const tensors = [y, ...[...net.stateDict().values()].map(({ tensor }) => tensor!)];
  return (await Promise.all(tensors.map((tensor) => tensor.read()))).map(bits);
}

for (const [what, fail] of Object.entries(faults)) {
  Deno.test(`a backend goes without a worker if ${what}`, async () => {
    const [single] = supportedBuilds();
    using alone = new WasmBackend(single);
    const expected = await trained(alone);
    for await (const build of threadedBuilds()) {
      if (build.name !== single.name) continue;
      for (let n = 1; n <= 3; n++) {
        using _ = failWorkers((worker) => worker === n, fail);
        using backend = (await WasmBackend.withThreads(4, build))!;
        assertEquals(backend.threads, 3);
        assertEquals(await trained(backend), expected, `without worker ${n}`);
        assertEquals(backend.bytesInUse, 0);
      }
      using _ = failWorkers(() => true, fail);
      assertEquals(await WasmBackend.withThreads(4, build), undefined);
    }
  });
}
