/** Where tests find WebGPU, and what they say where they are left out. */

import { createBackend } from "../src/backend/mod.ts";

const asked = Deno.env.get("PEMBROKE_WEBGPU");

/** Why tests of WebGPU are left out; undefined where they run. */
const leftOut = await whyNot();

if (leftOut && asked === "required") throw new Error(`WebGPU is required here, but ${leftOut}`);

/**
 * Runs a test on WebGPU: on a GPU wherever there is one, and on an adapter that computes on the
 * processor if PEMBROKE_WEBGPU says "required", because some take minutes to compile a shader.
 */
export function testWithAdapter(name: string, fn: () => void | Promise<void>): void {
  if (!leftOut) Deno.test(name, fn);
}

/** Says in one line, where they are left out, how to run them. */
export function testWhetherWebGpuRuns(): void {
  if (!leftOut) return;
  const name = `the WebGPU tests are left out: ${leftOut} ` +
    "(PEMBROKE_WEBGPU=required runs them on any adapter, such as Mesa's llvmpipe)";
  Deno.test({ name, ignore: true, fn() {} });
}

/** What a GPU says of itself; the adapters that tests find would say that they are none. */
export const gpuInfo = {
  isFallbackAdapter: false,
  description: "a GPU",
  device: "",
  vendor: "",
  architecture: "",
};

/** Has all adapters say this of themselves until it is disposed. */
export function adaptersSay(says: Partial<typeof gpuInfo>): Disposable {
  const { prototype } = GPUAdapterInfo, before = Object.getOwnPropertyDescriptors(prototype);
  for (const [key, value] of Object.entries(says)) {
    Object.defineProperty(prototype, key, { get: () => value, configurable: true });
  }
  return { [Symbol.dispose]: () => void Object.defineProperties(prototype, before) };
}

/** Runs with something of the runtime in another's place. */
export async function replacing<T, K extends keyof T>(
  of: T,
  key: K,
  by: T[K],
  run: () => Promise<void>,
): Promise<void> {
  const before = of[key];
  of[key] = by;
  try {
    await run();
  } finally {
    of[key] = before;
  }
}

/** Runs as if Linux showed a GPU. */
export function withGpuFiles(run: () => Promise<void>): Promise<void> {
  if (!("Deno" in globalThis)) return run(); // in a browser nobody looks
  const { statSync } = Deno;
  const look: typeof statSync = (path) =>
    statSync(String(path).startsWith("/dev/") ? "/dev/null" : path);
  return replacing(Deno, "statSync", look, run);
}

async function whyNot(): Promise<string | undefined> {
  if (asked === "off") return "PEMBROKE_WEBGPU is off";
  if (!navigator.gpu) return "this runtime has no WebGPU";
  if (asked === "required") {
    return await navigator.gpu.requestAdapter() ? undefined : "there is no adapter";
  }
  let reason: string | undefined;
  using _ = await createBackend({ threads: 1, onFallback: ({ message }) => reason = message });
  return reason;
}
