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

/** Runs a test body once on each backend, with a fresh one. */
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
    using backend = await WebGpuBackend.create({ software: true });
    await body(backend);
  });
}
