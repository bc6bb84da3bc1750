/** Decides whether tests run on WebGPU, and fakes adapters for them. */

import { createBackend } from "../src/backend/mod.ts";

const setting = Deno.env.get("PEMBROKE_WEBGPU");

/** Why the WebGPU tests are skipped; undefined if they run. */
const skipReason = await findSkipReason();

if (skipReason && setting === "required") {
  throw new Error(`WebGPU is required, but ${skipReason}`);
}

/**
 * Whether WebGPU tests run on a GPU. On an adapter in software, networks take seconds to compile.
 */
export const hasGpu = !skipReason && setting !== "required";

/**
 * Registers a test that needs WebGPU. It runs if there is a GPU. With PEMBROKE_WEBGPU=required it
 * also runs on software adapters, some of which take minutes to compile a shader.
 */
export function testWithAdapter(name: string, fn: () => void | Promise<void>): void {
  if (!skipReason) Deno.test(name, fn);
}

/** If the WebGPU tests are skipped, registers an ignored test whose name says how to run them. */
export function reportSkippedWebGpuTests(): void {
  if (!skipReason) return;
  const name = `WebGPU tests skipped: ${skipReason} ` +
    "(PEMBROKE_WEBGPU=required runs them on any adapter, such as Mesa's llvmpipe)";
  Deno.test({ name, ignore: true, fn() {} });
}

/** The adapter info of a real GPU. */
export const gpuInfo = {
  isFallbackAdapter: false,
  description: "a GPU",
  device: "",
  vendor: "",
  architecture: "",
};

/** Makes all adapters report this info, until it is disposed. */
export function overrideAdapterInfo(info: Partial<typeof gpuInfo>): Disposable {
  const { prototype } = GPUAdapterInfo, original = Object.getOwnPropertyDescriptors(prototype);
  for (const [key, value] of Object.entries(info)) {
    Object.defineProperty(prototype, key, { get: () => value, configurable: true });
  }
  return { [Symbol.dispose]: () => void Object.defineProperties(prototype, original) };
}

/** Runs a function while a property of an object has another value. */
export async function withReplaced<T, K extends keyof T>(
  object: T,
  key: K,
  value: T[K],
  run: () => Promise<void>,
): Promise<void> {
  const original = object[key];
  object[key] = value;
  try {
    await run();
  } finally {
    object[key] = original;
  }
}

/** Runs a function as if Linux had device files for a GPU. */
export function withGpuFiles(run: () => Promise<void>): Promise<void> {
  if (!("Deno" in globalThis)) return run(); // browsers have no device files
  const { statSync } = Deno;
  const fake: typeof statSync = (path) =>
    statSync(String(path).startsWith("/dev/") ? "/dev/null" : path);
  return withReplaced(Deno, "statSync", fake, run);
}

async function findSkipReason(): Promise<string | undefined> {
  if (setting === "off") return "PEMBROKE_WEBGPU is off";
  if (!navigator.gpu) return "this runtime has no WebGPU";
  if (setting === "required") {
    return await navigator.gpu.requestAdapter() ? undefined : "there is no adapter";
  }
  let reason: string | undefined;
  using _ = await createBackend({ threads: 1, onFallback: ({ message }) => reason = message });
  return reason;
}
