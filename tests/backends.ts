/** Every backend that the machine can make: suites run over all of them. */

import type { Backend } from "../src/backend/mod.ts";
import { supportedBuilds, threadedBuilds } from "../src/backend/wasm/binary.ts";
import { WasmBackend } from "../src/backend/wasm.ts";
import { WebGpuBackend } from "../src/backend/webgpu.ts";
import { assertEquals } from "./assert.ts";
import { beginShapes } from "./backend/harness.ts";
import { testWithAdapter } from "./webgpu.ts";

/** A number that no loop of the kernels divides evenly. */
const THREADS = 3;

const wasmBuilds = supportedBuilds();
const wasmThreadedBuilds = await Array.fromAsync(threadedBuilds());
if (wasmBuilds.length !== 2 || wasmThreadedBuilds.length !== 2) {
  throw new Error("this engine lacks relaxed SIMD or shared memory: half would go untested");
}

/** What a suite does with a backend. */
type Body = (backend: Backend) => void | Promise<void>;

/** A backend as suites know it. */
interface Candidate {
  readonly name: string;
  make(): Promise<Backend>;
  /** Whether it is slow to start, so that tests share one. */
  readonly slow: boolean;
}

const wasm: readonly Candidate[] = wasmBuilds.map((build) => ({
  name: build.name,
  make: () => Promise.resolve(new WasmBackend(build)),
  slow: false,
}));
const threaded: readonly Candidate[] = wasmThreadedBuilds.map((build) => ({
  name: `${build.name}, ${THREADS} threads`,
  make: async () => {
    const backend = await WasmBackend.withThreads(THREADS, build);
    if (backend?.threads !== THREADS) throw new Error("not all threads started");
    return backend;
  },
  slow: true,
}));
const gpu: Candidate = {
  name: "webgpu",
  make: () => WebGpuBackend.create({ software: true }),
  slow: true,
};

/** Backends that wait for the next test. No test can tell that others had them before. */
const waiting = new Map<Candidate, Backend>();

/** How a test is run. */
export interface SuiteOptions {
  /** Takes a backend of its own, whose memory has never grown. */
  readonly fresh?: boolean;
}

/** Runs a test body once on each backend. It must give back all the memory that it takes. */
export function testOnEveryBackend(name: string, body: Body, options: SuiteOptions = {}): void {
  for (const candidate of [...wasm, ...threaded]) {
    Deno.test(`${name} (${candidate.name})`, () => run(candidate, body, options));
  }
  testWithAdapter(`${name} (${gpu.name})`, () => run(gpu, body, options));
}

/**
 * Runs a test body on one build with threads and on the GPU: for what takes long, where other tests
 * compare each kernel of every build.
 */
export function testOnFewBackends(name: string, body: Body, options: SuiteOptions = {}): void {
  const [candidate] = threaded;
  Deno.test(`${name} (${candidate.name})`, () => run(candidate, body, options));
  testWithAdapter(`${name} (${gpu.name})`, () => run(gpu, body, options));
}

async function run(candidate: Candidate, body: Body, options: SuiteOptions): Promise<void> {
  const shared = candidate.slow && !options.fresh;
  const backend = (shared && waiting.get(candidate)) || await candidate.make();
  if (shared) waiting.delete(candidate); // until the test has passed
  beginShapes(backend);
  try {
    await body(backend);
    assertEquals(backend.bytesInUse, 0, "bytes of tensors that were not disposed of");
    if (shared && isAlive(backend)) waiting.set(candidate, backend);
  } finally {
    if (waiting.get(candidate) !== backend) backend.dispose();
  }
}

/** Whether a test has not disposed of it. */
function isAlive(backend: Backend): boolean {
  try {
    backend.empty([1]).dispose();
    return true;
  } catch {
    return false;
  }
}
