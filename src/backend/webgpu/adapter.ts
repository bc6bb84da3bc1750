/**
 * Finding an adapter. This is separate from the backend, so that pages without a GPU need not load
 * it.
 *
 * @module
 */

import { PembrokeError } from "../../errors.ts";

/**
 * Finds the adapter that the runtime prefers.
 *
 * @param software Accepts software adapters, which compute on the CPU.
 * @throws {PembrokeError} When there is no adapter, or only a software adapter without `software`.
 */
export async function findAdapter(software: boolean): Promise<GPUAdapter> {
  let adapter: GPUAdapter | null;
  try {
    adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (cause) {
    throw new PembrokeError(`webgpu: requesting an adapter failed (${reasonOf(cause)})`, { cause });
  }
  if (!adapter) throw new PembrokeError("webgpu: this machine has no adapter");
  if (!software && isSoftware(adapter)) {
    throw new PembrokeError(`webgpu: the adapter (${nameOf(adapter)}) is a software adapter`);
  }
  return adapter;
}

/** The first line of an error. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}

/**
 * What adapters report about themselves. Older browsers have `isFallbackAdapter` instead of `info`.
 */
type AdapterDetails = {
  readonly info?: Partial<GPUAdapterInfo>;
  readonly isFallbackAdapter?: boolean;
};

/** Software drivers of Mesa, Google and Microsoft. */
const softwareDrivers =
  /llvmpipe|lavapipe|softpipe|swrast|swiftshader|microsoft basic render|\bwarp\b/i;

/** Whether an adapter computes on the CPU. Not every software driver reports it. */
export function isSoftware({ info = {}, isFallbackAdapter = false }: AdapterDetails): boolean {
  const { description, device, vendor, architecture } = info;
  return (info.isFallbackAdapter ?? isFallbackAdapter) ||
    softwareDrivers.test([description, device, vendor, architecture].join(" "));
}

/** The name of an adapter. Browsers hide details that could identify people. */
export function nameOf({ info = {} }: AdapterDetails): string {
  const { description, device, vendor = "", architecture = "" } = info;
  return description || device || `${vendor} ${architecture}`.trim() || "unnamed";
}
