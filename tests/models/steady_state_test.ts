import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { AlexNet } from "../../src/models/mod.ts";
import { createBackend } from "../../src/backend/mod.ts";
import { elements } from "../../src/tensor.ts";
import { assert, assertEquals } from "../assert.ts";

/** Runs the garbage collector. */
const collectGarbage = (() => {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
})();

/** Passes before the measurement, and those that are measured. */
const warmUp = 20, measured = 100;

for (const threads of [1, 2]) {
  Deno.test(`forward() allocates no memory once warm (threads: ${threads})`, async () => {
    using backend = await createBackend({ threads });
    using model = new AlexNet({
      channels: [4, 6, 8, 6, 6],
      hiddenFeatures: 16,
      numClasses: 10,
    }).init(backend, { seed: 1 });
    const shape = model.inputShape(), image = new Float32Array(elements(shape)).fill(0.5);
    const passes = async (count: number) => {
      for (let i = 0; i < count; i++) {
        using x = backend.upload(image, shape);
        using y = model.forward(x);
        await y.read();
      }
    };
    const heap = () => {
      const { heapUsed, external } = Deno.memoryUsage();
      return heapUsed + external;
    };
    using memory = countGrowth();
    await passes(warmUp);
    assert(memory.count > 0, "growing memory was not counted");
    collectGarbage();
    const before = heap(), bytes = backend.bytesInUse, growths = memory.count;
    await passes(measured);
    const after = heap();
    collectGarbage();
    const kept = heap();

    assertEquals(backend.bytesInUse, bytes);
    assertEquals(memory.count, growths, "the Wasm memory grew");
    // A pass of 20 layers creates 13 KB of short-lived objects if the engine compiled it, and 46 KB
    // otherwise. Kept bytes belong to the engine, which continues to compile.
    const garbage = (after - before) / measured;
    assert(garbage < 100_000, `${garbage} bytes of garbage per pass`);
    assert(kept - before < 100_000, `${kept - before} bytes leaked`);
  });
}

/** Counts the calls of `WebAssembly.Memory.grow()`. */
function countGrowth(): { readonly count: number } & Disposable {
  const { prototype } = WebAssembly.Memory, { grow } = prototype;
  let count = 0;
  prototype.grow = function (pages) {
    count++;
    return grow.call(this, pages);
  };
  return {
    get count() {
      return count;
    },
    [Symbol.dispose]() {
      prototype.grow = grow;
    },
  };
}
