/**
 * The WebGPU backend: tensors in buffers of a GPU, kernels in WGSL.
 *
 * @module
 */

import type { Backend } from "../backend.ts";
import { DeviceLostError, PembrokeError } from "../errors.ts";
import type { Traits } from "./webgpu/memory.ts";
import { GpuTraining } from "./webgpu/training.ts";

/** What the WebGPU backend is made of. */
export interface WebGpuOptions {
  /** Takes an adapter that computes on the processor, too. */
  readonly software?: boolean;
  /** The adapter; without it the one that the runtime prefers. */
  readonly adapter?: GPUAdapter;
  /** Binds at most so many bytes of a buffer, if that is less than the device allows. */
  readonly mostBound?: number;
}

/** Kernels in WGSL, on one GPU. */
export class WebGpuBackend extends GpuTraining implements Backend {
  readonly device = "webgpu";
  /** The caller's. */
  readonly threads = 1;

  /** @param name What computes. */
  constructor(override readonly name: string, device: GPUDevice, traits: Traits) {
    super(device, traits);
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
      const [reason] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
      throw new DeviceLostError(`${computer} gives no device (${reason})`, { cause });
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
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new PembrokeError("webgpu: this machine has no adapter");
  return adapter;
}

/** Older browsers say it on the adapter itself. */
function isSoftware(adapter: GPUAdapter & { readonly isFallbackAdapter?: boolean }): boolean {
  return adapter.info.isFallbackAdapter ?? adapter.isFallbackAdapter ?? false;
}

/** Browsers hide what might tell people apart. */
function nameOf({ info }: GPUAdapter): string {
  const { description, device, vendor, architecture } = info;
  return description || device || `${vendor} ${architecture}`.trim() || "unnamed";
}
