/**
 * The WebGPU backend: tensors in buffers of a GPU, kernels in WGSL.
 *
 * @module
 */

import type { Backend } from "../backend.ts";
import { PembrokeError } from "../errors.ts";
import type { Traits } from "./webgpu/memory.ts";
import { GpuTraining } from "./webgpu/training.ts";

/** What the WebGPU backend is made of. */
export interface WebGpuOptions {
  /** Takes adapters that compute on the processor, too. */
  readonly software?: boolean;
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
   * A backend on an adapter of its own device.
   *
   * @throws {PembrokeError} When there is none.
   */
  static async create({ mostBound = Infinity }: WebGpuOptions = {}): Promise<WebGpuBackend> {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) throw new PembrokeError("webgpu: no adapter");
    const device = await adapter.requestDevice();
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    const binding = Math.min(mostBound, maxStorageBufferBindingSize);
    return new WebGpuBackend(`webgpu (${adapter.info.description})`, device, {
      buffer: maxBufferSize,
      binding,
      software: adapter.info.isFallbackAdapter,
    });
  }
}
