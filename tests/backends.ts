/** Runs tests on every backend that this machine supports. */

import type { Backend } from "../src/backend/mod.ts";
import { threadedBuilds } from "../src/backend/wasm/binary.ts";
import { supportedBuilds } from "../src/backend/wasm/one_thread.ts";
import { WasmBackend } from "../src/backend/wasm.ts";
import { WebGpuBackend } from "../src/backend/webgpu.ts";
import { assertEquals } from "./assert.ts";
import { resetShapes } from "./backend/harness.ts";
import { highMemoryBackend } from "./backend/high_memory.ts";
import { testWithAdapter } from "./webgpu.ts";

/** A number that divides none of the kernels' loops evenly. */
const threadCount = 3;

const wasmBuilds = supportedBuilds();
const wasmThreadedBuilds = await Array.fromAsync(threadedBuilds());
if (wasmBuilds.length !== 2 || wasmThreadedBuilds.length !== 2) {
  throw new Error("this engine lacks relaxed SIMD or shared memory, so half the builds cannot run");
}

/** The body of a test. */
type Body = (backend: Backend) => void | Promise<void>;

/** A backend to test. */
interface Candidate {
  readonly name: string;
  make(): Promise<Backend>;
  /** Whether tests share a backend, which saves its start and the growth of its memory. */
  readonly shared: boolean;
}

const wasm: readonly Candidate[] = wasmBuilds.map((build, i) => ({
  name: build.name,
  make: () => Promise.resolve(new WasmBackend(build)),
  shared: i > 0, // with the first build, memory grows during each test
}));
const threaded: readonly Candidate[] = wasmThreadedBuilds.map((build) => ({
  name: `${build.name}, ${threadCount} threads`,
  make: async () => {
    const backend = await WasmBackend.withThreads(threadCount, build);
    if (backend?.threads !== threadCount) throw new Error("not all threads started");
    return backend;
  },
  shared: true,
}));
/** Where addresses are about to wrap. */
const highMemory: Candidate = {
  name: `${wasmBuilds[0].name}, end of 4 GiB`,
  make: () => Promise.resolve(highMemoryBackend(wasmBuilds[0])),
  shared: true,
};
const gpu: Candidate = {
  name: "webgpu",
  make: () => WebGpuBackend.create({ software: true }),
  shared: true,
};

/** Idle backends for the next test. Sharing them does not affect the results. */
const idle = new Map<Candidate, Backend>();

/** Options of a test. */
export interface SuiteOptions {
  /** Use a new backend, whose memory has never grown. */
  readonly fresh?: boolean;
}

/** Registers a test for each backend. The test must free all memory that it allocates. */
export function testOnEveryBackend(name: string, body: Body, options: SuiteOptions = {}): void {
  testOnWasm(name, body, options);
  testWithAdapter(`${name} (${gpu.name})`, () => run(gpu, body, options));
}

/** Registers a test for each backend but WebGPU. For algorithms that only Wasm has. */
export function testOnWasm(name: string, body: Body, options: SuiteOptions = {}): void {
  for (const candidate of [...wasm, ...threaded, highMemory]) {
    Deno.test(`${name} (${candidate.name})`, () => run(candidate, body, options));
  }
}

/**
 * Registers a test for one threaded build and the GPU. For slow tests, if other tests cover the
 * same kernels on every build.
 */
export function testOnFewBackends(name: string, body: Body, options: SuiteOptions = {}): void {
  testWithThreads(name, body, options);
  testWithAdapter(`${name} (${gpu.name})`, () => run(gpu, body, options));
}

/**
 * Registers a test for both builds, on one thread. For networks of layers that are tested alone.
 */
export function testOnBuilds(name: string, body: Body, options: SuiteOptions = {}): void {
  for (const candidate of wasm) {
    Deno.test(`${name} (${candidate.name})`, () => run(candidate, body, options));
  }
}

/** Registers a test for one threaded build. For tests that concern no kernel. */
export function testWithThreads(name: string, body: Body, options: SuiteOptions = {}): void {
  const [candidate] = threaded;
  Deno.test(`${name} (${candidate.name})`, () => run(candidate, body, options));
}

async function run(candidate: Candidate, body: Body, options: SuiteOptions): Promise<void> {
  const shared = candidate.shared && !options.fresh;
  const backend = (shared && idle.get(candidate)) || await candidate.make();
  if (shared) idle.delete(candidate); // until the test has passed
  resetShapes(backend);
  try {
    await body(backend);
    assertEquals(backend.bytesInUse, 0, "bytes of tensors that were not disposed");
    if (shared && isAlive(backend)) idle.set(candidate, backend);
  } finally {
    if (idle.get(candidate) !== backend) backend.dispose();
  }
}

/** Whether the backend has not been disposed. */
function isAlive(backend: Backend): boolean {
  try {
    backend.empty([1]).dispose();
    return true;
  } catch {
    return false;
  }
}
