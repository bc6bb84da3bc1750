/**
 * The command queue of a device. Dispatches are recorded, and submitted together when something is read
 * or written. Pipelines and bind groups are created once and reused.
 *
 * @module
 */

import { BufferPool, type PooledBuffer } from "./buffers.ts";
import { DeviceWatch } from "./watch.ts";
import {
  type Constants,
  distinctOperands,
  MAX_UNIFORMS,
  type Operand,
  program,
  type Shader,
  type Uniforms,
} from "./shader.ts";

/** Recorded dispatches after which they are submitted, so that long runs keep the device busy. */
const MAX_RECORDED = 512;
/** Bytes for the uniforms of a dispatch; uniform buffers are bound at multiples of this. */
const SLOT_BYTES = 256;
/** Dispatches with uniforms in a submission. */
const SLOT_COUNT = 256;
/** Bytes that are written at a time. */
const WRITE_CHUNK = 16 * 2 ** 20;

/** One dispatch. */
export interface Dispatch {
  readonly shader: Shader;
  readonly operands: Readonly<Record<string, Operand>>;
  readonly constants: Constants;
  /** Workgroups along each axis. */
  readonly groups: readonly [number, number?, number?];
  readonly uniforms?: Uniforms;
}

/** A compiled shader with the layout of its operands. */
interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly id: number;
}

/** Records and submits the commands of a device. */
export class Queue {
  readonly watch: DeviceWatch;
  readonly #device: GPUDevice;
  readonly #buffers: BufferPool;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #bindGroups = new Map<string, GPUBindGroup>();
  readonly #uniformBuffer: GPUBuffer;
  readonly #uniformData = new DataView(new ArrayBuffer(SLOT_BYTES * SLOT_COUNT));
  #usedSlots = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #recorded = 0;
  #submission = 0;
  /** Buffers to destroy once the recorded commands that use them are submitted. */
  #toDestroy: PooledBuffer[] = [];
  /** Counts what was created so far. Tests check that nothing is created twice. */
  readonly counts = { pipelines: 0, bindGroups: 0, submissions: 0, buffers: 0 };

  constructor(device: GPUDevice) {
    this.#device = device;
    this.watch = new DeviceWatch(device);
    this.#buffers = new BufferPool(device);
    this.#uniformBuffer = device.createBuffer({
      size: SLOT_BYTES * SLOT_COUNT,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  /** Returns a buffer of at least this size. */
  acquire(bytes: number): PooledBuffer {
    const block = this.watch.guarded(() => this.#buffers.acquire(bytes));
    this.counts.buffers = Math.max(this.counts.buffers, block.id + 1);
    return block;
  }

  /** Takes a buffer back. */
  release(block: PooledBuffer): void {
    if (this.#buffers.release(block)) return;
    for (const key of block.bindGroups) this.#bindGroups.delete(key);
    if (block.submission === this.#submission) this.#toDestroy.push(block);
    else block.buffer.destroy();
  }

  /** Overwrites bytes of a buffer, after all commands recorded so far. */
  write(block: PooledBuffer, values: ArrayBufferView<ArrayBufferLike>, offset: number): void {
    if (block.submission === this.#submission) this.submit();
    const { buffer, byteOffset, byteLength } = values;
    for (let at = 0; at < byteLength; at += WRITE_CHUNK) {
      const chunk = new Uint8Array(buffer, byteOffset + at, Math.min(WRITE_CHUNK, byteLength - at));
      this.watch.guarded(() =>
        this.#device.queue.writeBuffer(
          block.buffer,
          offset + at,
          chunk as Uint8Array<ArrayBuffer>,
        )
      );
    }
  }

  /** Records a dispatch. */
  dispatch(dispatch: Dispatch): void {
    this.watch.guarded(() => this.#record(dispatch));
  }

  #record({ shader, operands, constants, groups, uniforms }: Dispatch): void {
    if (uniforms && this.#usedSlots === SLOT_COUNT || this.#recorded >= MAX_RECORDED) this.submit();
    const distinct = Object.values(distinctOperands(operands));
    const compiled = this.#pipeline(shader, operands, constants, uniforms);
    const slot = uniforms && this.#writeUniforms(uniforms);
    const pass = this.#pass ??= this.#encode().beginComputePass();
    pass.setPipeline(compiled.pipeline);
    const offsets = slot === undefined ? [] : [slot * SLOT_BYTES];
    pass.setBindGroup(0, this.#bindGroup(compiled, distinct, uniforms !== undefined), offsets);
    pass.dispatchWorkgroups(...groups);
    for (const { block } of distinct) block.submission = this.#submission;
    this.#recorded++;
  }

  /** Reads the first bytes of a buffer, after all commands recorded so far. */
  async read(block: PooledBuffer, bytes: number): Promise<ArrayBuffer> {
    const size = Math.ceil(bytes / 4) * 4;
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const { watch } = this;
    const staging = watch.guarded(() => this.#device.createBuffer({ size, usage }));
    try {
      watch.guarded(() => {
        const encoder = this.#encode();
        this.#endPass();
        encoder.copyBufferToBuffer(block.buffer, 0, staging, 0, size);
        this.submit();
      });
      await watch.resultOf(watch.guarded(() => staging.mapAsync(GPUMapMode.READ)));
      return watch.guarded(() => staging.getMappedRange().slice(0, bytes));
    } finally {
      staging.destroy();
    }
  }

  /** Submits what was recorded. */
  submit(): void {
    if (!this.#encoder) return;
    this.#endPass();
    const used = this.#usedSlots * SLOT_BYTES;
    if (used > 0) {
      this.#device.queue.writeBuffer(this.#uniformBuffer, 0, this.#uniformData.buffer, 0, used);
    }
    const encoder = this.#encoder;
    this.watch.checked(() => this.#device.queue.submit([encoder.finish()]));
    this.#encoder = undefined;
    this.#recorded = this.#usedSlots = 0;
    this.#submission++;
    this.counts.submissions++;
    for (const { buffer } of this.#toDestroy) buffer.destroy();
    this.#toDestroy = [];
  }

  /** Stores uniforms for the next submission, and returns their slot. */
  #writeUniforms({ u32 = {}, f32 = {} }: Uniforms): number {
    let at = this.#usedSlots * SLOT_BYTES;
    for (const value of Object.values(u32)) {
      this.#uniformData.setUint32(at, value, true);
      at += 4;
    }
    for (const value of Object.values(f32)) {
      this.#uniformData.setFloat32(at, value, true);
      at += 4;
    }
    return this.#usedSlots++;
  }

  #encode(): GPUCommandEncoder {
    return this.#encoder ??= this.#device.createCommandEncoder();
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }

  #pipeline(
    shader: Shader,
    operands: Readonly<Record<string, Operand>>,
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
    const pipeline = this.watch.checked(() =>
      this.#device.createComputePipeline({
        label: shader.name,
        layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: {
          module: this.#device.createShaderModule({ label: shader.name, code }),
          entryPoint: "main",
        },
      })
    );
    const created = { pipeline, layout, id: this.counts.pipelines++ };
    this.#pipelines.set(key, created);
    return created;
  }

  #layout(operands: readonly Operand[], uniforms: boolean): GPUBindGroupLayout {
    const buffers: GPUBufferBindingLayout[] = operands.map(({ writes }) => ({
      type: writes ? "storage" : "read-only-storage",
    }));
    if (uniforms) buffers.push({ type: "uniform", hasDynamicOffset: true });
    const visibility = GPUShaderStage.COMPUTE;
    return this.#device.createBindGroupLayout({
      entries: buffers.map((buffer, binding) => ({ binding, visibility, buffer })),
    });
  }

  #bindGroup(
    { layout, id }: Pipeline,
    operands: readonly Operand[],
    uniforms: boolean,
  ): GPUBindGroup {
    const parts = operands.map(({ block, offset = 0, size }) => `${block.id}:${offset}:${size}`);
    const key = `${id} ${parts.join()}`;
    const known = this.#bindGroups.get(key);
    if (known) return known;
    const resources: GPUBufferBinding[] = operands.map(({ block, offset, size }) => ({
      buffer: block.buffer,
      offset,
      size,
    }));
    if (uniforms) resources.push({ buffer: this.#uniformBuffer, size: MAX_UNIFORMS * 4 });
    const group = this.watch.checked(() =>
      this.#device.createBindGroup({
        layout,
        entries: resources.map((resource, binding) => ({ binding, resource })),
      })
    );
    this.counts.bindGroups++;
    this.#bindGroups.set(key, group);
    for (const { block } of operands) block.bindGroups.add(key);
    return group;
  }
}
