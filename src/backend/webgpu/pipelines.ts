/**
 * Shaders compiled for the kinds of their operands and for constants. They are compiled once, and
 * at the same time, while the caller goes on.
 *
 * @module
 */

import {
  type Constants,
  distinctOperands,
  type Operand,
  type Operands,
  program,
  type Shader,
  type Uniforms,
} from "./shader.ts";
import type { DeviceWatch } from "./watch.ts";

/** A shader with the layout of its operands. */
export interface Pipeline {
  readonly layout: GPUBindGroupLayout;
  readonly descriptor: GPUComputePipelineDescriptor;
  /** Its number, unique on its device. */
  readonly id: number;
  /** Undefined until it is compiled. */
  compiled?: GPUComputePipeline;
}

/** The pipelines of a device. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #watch: DeviceWatch;
  readonly #onCompiled: () => void;
  readonly #pipelines = new Map<string, Pipeline>();
  /** What is being compiled. */
  readonly #compiling = new Map<Pipeline, Promise<void>>();

  /** @param onCompiled Called after a pipeline has been compiled, or has failed. */
  constructor(device: GPUDevice, watch: DeviceWatch, onCompiled: () => void) {
    this.#device = device;
    this.#watch = watch;
    this.#onCompiled = onCompiled;
  }

  /** Waits until all that is being compiled is compiled, or has failed. */
  async compiled(): Promise<void> {
    await Promise.all(this.#compiling.values());
  }

  /** Compiles what is still being compiled, without waiting. */
  compileAtOnce(): void {
    for (const pipeline of this.#compiling.keys()) {
      pipeline.compiled ??= this.#watch.guarded(() =>
        this.#watch.checked(() => this.#device.createComputePipeline(pipeline.descriptor))
      );
    }
  }

  /** The pipeline for a dispatch. It may still be compiled. */
  get(
    shader: Shader,
    operands: Operands,
    constants: Constants,
    uniforms: Uniforms | undefined,
  ): Pipeline {
    const names = Object.keys(distinctOperands(operands)).join();
    const types = Object.values(operands).map(({ type }) => type).join();
    const key = `${shader.name} ${names} ${types} ${Object.values(constants).join()}`;
    const known = this.#pipelines.get(key);
    if (known) return known;
    const code = program(shader, operands, constants, uniforms);
    const layout = this.#layout(Object.values(distinctOperands(operands)), uniforms !== undefined);
    const descriptor = this.#watch.checked((): GPUComputePipelineDescriptor => ({
      label: shader.name,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: {
        module: this.#device.createShaderModule({ label: shader.name, code }),
        entryPoint: "main",
      },
    }));
    const pipeline: Pipeline = { descriptor, layout, id: this.#pipelines.size };
    this.#pipelines.set(key, pipeline);
    this.#compiling.set(pipeline, this.#compile(pipeline));
    return pipeline;
  }

  /**
   * Compiles a pipeline, and runs the work that waited for it. Never rejects: the watch keeps
   * errors.
   */
  async #compile(pipeline: Pipeline): Promise<void> {
    try {
      pipeline.compiled = await this.#watch.pipelineOf(() =>
        this.#device.createComputePipelineAsync(pipeline.descriptor)
      );
    } catch {
      // nothing more will run
    }
    this.#compiling.delete(pipeline);
    try {
      this.#onCompiled();
    } catch {
      // the watch has this error, too
    }
  }

  #layout(operands: readonly Operand[], hasUniforms: boolean): GPUBindGroupLayout {
    const buffers: GPUBufferBindingLayout[] = operands.map(({ writes }) => ({
      type: writes ? "storage" : "read-only-storage",
    }));
    if (hasUniforms) buffers.push({ type: "uniform", hasDynamicOffset: true });
    const visibility = GPUShaderStage.COMPUTE;
    return this.#device.createBindGroupLayout({
      entries: buffers.map((buffer, binding) => ({ binding, visibility, buffer })),
    });
  }
}
