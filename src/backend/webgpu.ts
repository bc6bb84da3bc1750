/**
 * The WebGPU backend: tensors in buffers of a GPU, kernels in WGSL.
 *
 * @module
 */

import { DeviceLostError, PembrokeError } from "../errors.ts";
import type { Kernels } from "./kernels.ts";
import { MemoryBackend } from "./memory_backend.ts";
import { forwardKernels } from "./webgpu/forward.ts";
import { GpuMemory, type Traits } from "./webgpu/memory.ts";
import { quantizedKernels } from "./webgpu/quantized.ts";
import { trainingKernels } from "./webgpu/training.ts";

/** What the WebGPU backend is made of. */
export interface WebGpuOptions {
  /** Takes a fallback adapter, too: one that computes on the processor. */
  readonly software?: boolean;
  /** The adapter; without it the one that the runtime prefers. */
  readonly adapter?: GPUAdapter;
  /** Binds at most so many bytes of a buffer, if that is less than the device allows. */
  readonly mostBound?: number;
}

/** Kernels in WGSL, on one GPU. */
export class WebGpuBackend extends MemoryBackend<GpuMemory> {
  readonly device = "webgpu";
  /** The caller's. */
  readonly threads = 1;

  readonly kernels: Kernels;
  protected readonly memory: GpuMemory;

  /** @param name What computes. */
  constructor(readonly name: string, device: GPUDevice, traits: Traits) {
    super();
    const memory = new GpuMemory(this, device, traits);
    this.memory = memory;
    this.kernels = {
      ...forwardKernels(memory),
      ...quantizedKernels(memory),
      ...trainingKernels(memory),
    };
  }

  /** Counts pipelines, bind groups, buffers and submissions made so far. */
  get made(): GpuMemory["made"] {
    return this.memory.made;
  }

  /**
   * A backend on a device of its own.
   *
   * @throws {PembrokeError} When there is no adapter, or only one that is not taken.
   * @throws {DeviceLostError} When the adapter gives no device.
   */
  static async create(options: WebGpuOptions = {}): Promise<WebGpuBackend> {
    const { software = false, mostBound = Infinity } = options;
    const adapter = options.adapter ?? await findAdapter();
    const computer = nameOf(adapter), fallback = isSoftware(adapter);
    if (fallback && !software) {
      throw new PembrokeError(`webgpu: its adapter (${computer}) computes on the processor`);
    }
    const half = adapter.features.has("shader-f16");
    let device: GPUDevice;
    try {
      // with the limits that every adapter has
      device = await adapter.requestDevice({ requiredFeatures: half ? ["shader-f16"] : [] });
    } catch (cause) {
      throw new DeviceLostError(`${computer} gives no device (${reasonOf(cause)})`, { cause });
    }
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    return new WebGpuBackend(`webgpu (${computer})`, device, {
      software: fallback,
      half,
      buffer: maxBufferSize,
      binding: Math.min(mostBound, maxStorageBufferBindingSize),
    });
  }
}

async function findAdapter(): Promise<GPUAdapter> {
  let adapter: GPUAdapter | null;
  try {
    adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (cause) {
    throw new PembrokeError(`webgpu: no adapter can be had (${reasonOf(cause)})`, { cause });
  }
  if (!adapter) throw new PembrokeError("webgpu: this machine has no adapter");
  return adapter;
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}

/** What an adapter may say of itself; older browsers have no `info`, and say the rest elsewhere. */
type Told = { readonly info?: Partial<GPUAdapterInfo>; readonly isFallbackAdapter?: boolean };

/** Drivers that compute on the processor: Mesa's, Google's and Microsoft's. */
const softwareDrivers =
  /llvmpipe|lavapipe|softpipe|swrast|swiftshader|microsoft basic render|\bwarp\b/i;

/** Whether an adapter computes on the processor. Not every driver that does admits it. */
function isSoftware({ info = {}, isFallbackAdapter = false }: Told): boolean {
  const { description, device, vendor, architecture } = info;
  return (info.isFallbackAdapter ?? isFallbackAdapter) ||
    softwareDrivers.test([description, device, vendor, architecture].join(" "));
}

/** Browsers hide what might tell people apart. */
function nameOf({ info = {} }: Told): string {
  const { description, device, vendor = "", architecture = "" } = info;
  return description || device || `${vendor} ${architecture}`.trim() || "unnamed";
}
