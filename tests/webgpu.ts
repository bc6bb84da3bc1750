/** Where tests find WebGPU, and what they say where they are left out. */

import { createBackend } from "../src/backend.ts";

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
