/**
 * The WebGPU backend: tensors in buffers of a GPU, kernels in WGSL.
 *
 * @module
 */

import { DeviceLostError } from "../errors.ts";
import type { Kernels } from "./kernels.ts";
import { MemoryBackend } from "./memory_backend.ts";
import { findAdapter, isSoftware, nameOf, reasonOf } from "./webgpu/adapter.ts";
import { depthwiseKernels } from "./webgpu/depthwise.ts";
import { elementwiseKernels } from "./webgpu/elementwise.ts";
import { forwardKernels } from "./webgpu/forward.ts";
import { layoutKernels } from "./webgpu/layout.ts";
import { GpuMemory, type Traits } from "./webgpu/memory.ts";
import { quantizedKernels } from "./webgpu/quantized.ts";
import { rowNormKernels } from "./webgpu/row_norm.ts";
import { trainingKernels } from "./webgpu/training.ts";

/** Options of {@linkcode WebGpuBackend.create}. */
export interface WebGpuOptions {
  /** Accepts software adapters, which compute on the CPU, if no `adapter` is given. */
  readonly software?: boolean;
  /** The adapter. Default: the one that the runtime prefers. */
  readonly adapter?: GPUAdapter;
  /** Limits a binding to this many bytes, if the device allows more. */
  readonly maxBinding?: number;
  /** Limits a row of the grid to this many workgroups, if the device allows more. */
  readonly maxGridWidth?: number;
}

/** Kernels in WGSL, on one GPU. */
export class WebGpuBackend extends MemoryBackend<GpuMemory> {
  readonly device = "webgpu";
  /** The GPU's own threads do not count. */
  readonly threads = 1;

  readonly kernels: Kernels;
  protected readonly memory: GpuMemory;

  /** @param name The name of the backend. */
  constructor(readonly name: string, device: GPUDevice, traits: Traits) {
    super();
    const memory = new GpuMemory(this, device, traits);
    this.memory = memory;
    this.kernels = {
      ...forwardKernels(memory),
      ...depthwiseKernels(memory),
      ...elementwiseKernels(memory),
      ...quantizedKernels(memory),
      ...trainingKernels(memory),
      ...layoutKernels(memory),
      ...rowNormKernels(memory),
    };
  }

  /** Counts pipelines, bind groups, buffers and submissions so far. */
  get counts(): GpuMemory["counts"] {
    return this.memory.counts;
  }

  /**
   * Creates a backend on a device of its own.
   *
   * @throws {PembrokeError} When there is no adapter, or only a software adapter without
   * `software`.
   * @throws {DeviceLostError} When the adapter provides no device.
   */
  static async create(options: WebGpuOptions = {}): Promise<WebGpuBackend> {
    const { software = false, maxBinding = Infinity, maxGridWidth = Infinity } = options;
    const adapter = options.adapter ?? await findAdapter(software);
    const adapterName = nameOf(adapter);
    const half = adapter.features.has("shader-f16");
    let device: GPUDevice;
    try {
      // with the default limits, which every adapter supports
      device = await adapter.requestDevice({ requiredFeatures: half ? ["shader-f16"] : [] });
    } catch (cause) {
      throw new DeviceLostError(`${adapterName} provides no device (${reasonOf(cause)})`, {
        cause,
      });
    }
    const { limits } = device;
    return new WebGpuBackend(`webgpu (${adapterName})`, device, {
      software: isSoftware(adapter),
      half,
      buffer: limits.maxBufferSize,
      binding: Math.min(maxBinding, limits.maxStorageBufferBindingSize),
      gridWidth: Math.min(maxGridWidth, limits.maxComputeWorkgroupsPerDimension),
    });
  }
}
