/** The network in use, the device that it computes on, and its images. Runs in the worker. */

/// <reference lib="dom" />

import {
  type Backend,
  type Classifier,
  createBackend,
  decodeImage,
  fromRgba,
  loadModel,
  type RgbImage,
} from "../../../mod.ts";
import type { Device, DeviceLimits, NetworkFacts, NetworkSource } from "./page_calls.ts";
import type { Photo } from "./protocol.ts";

/** A network on a device. */
interface Engine {
  readonly source: NetworkSource;
  readonly device: Device;
  readonly model: Classifier;
}

let engine: Engine | undefined;

/**
 * The network in use, on the device in use.
 *
 * @throws {Error} When none is loaded.
 */
export function currentClassifier(): Classifier {
  return currentEngine().model;
}

function currentEngine(): Engine {
  if (!engine) throw new Error("No network is loaded: choose one first.");
  return engine;
}

/** The pixels of a photo. The library decodes files, so that results equal those of the command. */
export async function imageOf(photo: Photo): Promise<RgbImage> {
  return "bytes" in photo ? await decodeImage(photo.bytes, { name: photo.name }) : fromRgba(photo);
}

/** How to load a network. */
export interface LoadOptions {
  readonly signal: AbortSignal;
  /** Called with the share that is loaded. */
  onShare?(share: number): void;
}

/**
 * Puts a network to use. If it cannot be loaded, the one before stays in use.
 *
 * @param options With a function that throws if the page has cancelled the call.
 */
export async function useNetwork(
  source: NetworkSource,
  device: Device,
  { pause, ...options }: LoadOptions & { pause(): Promise<void> },
): Promise<NetworkFacts> {
  const model = await load(source, device, options);
  try {
    await pause(); // the page may have cancelled after the last weights
  } catch (error) {
    model.dispose();
    throw error;
  }
  engine?.model.dispose();
  engine = { source, device, model };
  const { name, threads } = model.backend;
  const classes = model.classes.map(({ label }) => label);
  return { type: model.type, classes, backend: name, threads };
}

/** Runs something with the network in use on any device. */
export async function onDevice<T>(
  device: Device,
  signal: AbortSignal,
  run: (model: Classifier) => Promise<T>,
): Promise<T> {
  const current = currentEngine();
  if (device === current.device) return await run(current.model);
  using model = await load(current.source, device, { signal });
  return await run(model);
}

async function load(
  { weights, files, base }: NetworkSource,
  device: Device,
  { signal, onShare }: LoadOptions,
): Promise<Classifier> {
  const backend = await open(device);
  try {
    const onProgress = (done: number, total: number) => onShare?.(done / total);
    const options = { weights, files, base, backend, signal, onProgress };
    return (await loadModel(options)).own(backend);
  } catch (error) {
    backend.dispose();
    throw error;
  }
}

async function open(device: Device): Promise<Backend> {
  if (device === "webgpu") return await createBackend({ device });
  const backend = await createBackend({ device: "wasm", threads: device === "wasm" ? 1 : "auto" });
  if (device === "wasm" || backend.threads > 1) return backend;
  backend.dispose();
  throw new Error("The browser starts no threads: choose another device.");
}

/** Loads the JPEG codec and the kernels that this visit may not use, so that they are stored. */
export async function loadForLater(): Promise<void> {
  const response = await fetch(new URL("photos/cat-small.jpg", import.meta.url));
  await decodeImage(new Uint8Array(await response.arrayBuffer()));
  for (const threads of [1, 2]) (await createBackend({ device: "wasm", threads })).dispose();
}

/**
 * What is special about the devices of this machine.
 *
 * @param hasServiceWorker Whether the page has one, which adds the headers for threads to later visits.
 */
export async function deviceLimits(hasServiceWorker: boolean): Promise<DeviceLimits> {
  const adapter = await findAdapter(), threads = reasonAgainstThreads(hasServiceWorker);
  const reasons = {
    ...(typeof adapter === "string" && { webgpu: adapter }),
    ...(threads && { threads }),
  };
  return { reasons, hasSoftwareGpu: typeof adapter !== "string" && isSoftware(adapter) };
}

/** The adapter of WebGPU, or why there is none. */
async function findAdapter(): Promise<GPUAdapter | string> {
  if (!isSecureContext) return "only over HTTPS";
  const { gpu } = navigator as { readonly gpu?: GPU };
  if (!gpu) return "not in this browser";
  return await gpu.requestAdapter().catch(() => null) ?? "no graphics processor";
}

/** Older browsers do not have `info`. */
function isSoftware({ info, isFallbackAdapter }: {
  readonly info?: { readonly isFallbackAdapter?: boolean };
  readonly isFallbackAdapter?: boolean;
}): boolean {
  return info?.isFallbackAdapter ?? isFallbackAdapter ?? false;
}

function reasonAgainstThreads(hasServiceWorker: boolean): string | undefined {
  if (navigator.hardwareConcurrency < 2) return "only one processor";
  // GNOME Web isolates pages, but gives them no memory to share
  if (crossOriginIsolated) return globalThis.SharedArrayBuffer ? undefined : "not in this browser";
  if (!isSecureContext) return "only over HTTPS";
  return hasServiceWorker ? "load the page again" : "needs a service worker";
}
