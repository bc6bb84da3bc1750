/** Where tests find WebGPU, and what they say where there is none. */

/** Why tests of WebGPU are left out; undefined where there is an adapter. */
export const noAdapter = await whyNot();

if (noAdapter && Deno.env.get("PEMBROKE_WEBGPU") === "required") {
  throw new Error(`WebGPU is required here, but ${noAdapter}`);
}

/** Runs a test where there is an adapter; elsewhere its name says why it does not run. */
export function testWithAdapter(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name: noAdapter ? `${name} (${noAdapter})` : name, ignore: !!noAdapter, fn });
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
  if (Deno.env.get("PEMBROKE_WEBGPU") === "off") return "PEMBROKE_WEBGPU is off";
  if (!navigator.gpu) return "this runtime has no WebGPU";
  return await navigator.gpu.requestAdapter() ? undefined : "no adapter of WebGPU here";
}
