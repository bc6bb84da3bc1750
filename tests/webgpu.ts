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

async function whyNot(): Promise<string | undefined> {
  if (Deno.env.get("PEMBROKE_WEBGPU") === "off") return "PEMBROKE_WEBGPU is off";
  if (!navigator.gpu) return "this runtime has no WebGPU";
  return await navigator.gpu.requestAdapter() ? undefined : "no adapter of WebGPU here";
}
