/** Every backend that the machine can make: suites run over all of them. */

import type { Backend } from "../src/backend.ts";
import { supportedBuilds, threadedBuilds } from "../src/backend/wasm/binary.ts";
import { WasmBackend } from "../src/backend/wasm.ts";
import { WebGpuBackend } from "../src/backend/webgpu.ts";
import { testWithAdapter } from "./webgpu.ts";

/** A number that no loop of the kernels divides evenly. */
const THREADS = 3;

const wasmBuilds = supportedBuilds();
const wasmThreadedBuilds = await Array.fromAsync(threadedBuilds());
if (wasmBuilds.length !== 2 || wasmThreadedBuilds.length !== 2) {
  throw new Error("this engine lacks relaxed SIMD or shared memory: half would go untested");
}

/**
 * The GPU's backend, which the tests of a file take one after another until one of them disposes of
 * it or fails: a driver is slow to compile the programs for each anew.
 */
let gpu: WebGpuBackend | undefined;

/** Runs a test body once on each backend, with a fresh one but on a GPU. */
export function testOnEveryBackend(
  name: string,
  body: (backend: Backend) => void | Promise<void>,
): void {
  for (const build of wasmBuilds) {
    Deno.test(`${name} (${build.name})`, async () => {
      using backend = new WasmBackend(build);
      await body(backend);
    });
  }
  for (const build of wasmThreadedBuilds) {
    Deno.test(`${name} (${build.name}, ${THREADS} threads)`, async () => {
      using backend = await WasmBackend.withThreads(THREADS, build);
      if (backend?.threads !== THREADS) throw new Error("not all threads started");
      await body(backend);
    });
  }
  testWithAdapter(`${name} (webgpu)`, async () => {
    if (!gpu || !alive(gpu)) gpu = await WebGpuBackend.create({ software: true });
    const backend = gpu;
    try {
      await body(backend);
    } catch (error) {
      backend.dispose();
      throw error;
    }
  });
}

function alive(backend: Backend): boolean {
  try {
    backend.empty([1]).dispose();
    return true;
  } catch {
    return false;
  }
}
