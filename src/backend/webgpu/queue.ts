/**
 * What a device is to do: dispatches are recorded one after another and submitted together, when
 * something is read or written. Pipelines and bind groups are made once.
 *
 * @module
 */

import { type Block, Buffers } from "./buffers.ts";
import { DeviceWatch } from "./watch.ts";
import {
  type Constants,
  distinctOperands,
  type Given,
  MOST_GIVEN,
  type Operand,
  program,
  type Shader,
} from "./shader.ts";

/** Dispatches that wait at most, so that a long run without reading keeps the device busy. */
const MOST_RECORDED = 512;
/** A place for the numbers of a dispatch; uniform buffers are bound at multiples of this. */
const SLOT = 256;
const SLOTS = 256;
/** A write goes in pieces of at most so many bytes. */
const PIECE = 16 * 2 ** 20;

/** One dispatch. */
export interface Dispatch {
  readonly shader: Shader;
  readonly operands: Readonly<Record<string, Operand>>;
  readonly constants: Constants;
  /** Workgroups along each axis. */
  readonly groups: readonly [number, number?, number?];
  readonly given?: Given;
}

/** A compiled program with the layout of its operands. */
interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly id: number;
}

/** The commands of a device. */
export class Queue {
  readonly watch: DeviceWatch;
  readonly #device: GPUDevice;
  readonly #buffers: Buffers;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #bindGroups = new Map<string, GPUBindGroup>();
  readonly #slots: GPUBuffer;
  readonly #given = new DataView(new ArrayBuffer(SLOT * SLOTS));
  #usedSlots = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #recorded = 0;
  #submission = 0;
  /** Buffers that commands not submitted yet still name. */
  #doomed: Block[] = [];
  /** What was made so far, for those who want to see that nothing is made twice. */
  readonly made = { pipelines: 0, bindGroups: 0, submissions: 0, buffers: 0 };

  constructor(device: GPUDevice) {
    this.#device = device;
    this.watch = new DeviceWatch(device);
    this.#buffers = new Buffers(device);
    this.#slots = device.createBuffer({
      size: SLOT * SLOTS,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  /** A buffer of at least so many bytes. */
  take(bytes: number): Block {
    const block = this.#buffers.take(bytes);
    this.made.buffers = Math.max(this.made.buffers, block.id + 1);
    return block;
  }

  /** Gives a buffer back. */
  free(block: Block): void {
    if (this.#buffers.keep(block)) return;
    for (const key of block.bindGroups) this.#bindGroups.delete(key);
    if (block.submission === this.#submission) this.#doomed.push(block);
    else block.buffer.destroy();
  }

  /** Overwrites bytes of a buffer, after everything recorded so far. */
  write(block: Block, values: ArrayBufferView<ArrayBufferLike>, offset: number): void {
    if (block.submission === this.#submission) this.submit();
    const { buffer, byteOffset, byteLength } = values;
    for (let at = 0; at < byteLength; at += PIECE) {
      const piece = new Uint8Array(buffer, byteOffset + at, Math.min(PIECE, byteLength - at));
      this.#device.queue.writeBuffer(
        block.buffer,
        offset + at,
        piece as Uint8Array<ArrayBuffer>,
      );
    }
  }

  /** Records a dispatch. */
  dispatch({ shader, operands, constants, groups, given }: Dispatch): void {
    if (given && this.#usedSlots === SLOTS || this.#recorded >= MOST_RECORDED) this.submit();
    const distinct = Object.values(distinctOperands(operands));
    const compiled = this.#pipeline(shader, operands, constants, given);
    const slot = given && this.#give(given);
    const pass = this.#pass ??= this.#encode().beginComputePass();
    pass.setPipeline(compiled.pipeline);
    const offsets = slot === undefined ? [] : [slot * SLOT];
    pass.setBindGroup(0, this.#bindGroup(compiled, distinct, given !== undefined), offsets);
    pass.dispatchWorkgroups(...groups);
    for (const { block } of distinct) block.submission = this.#submission;
    this.#recorded++;
  }

  /** The first bytes of a buffer, after everything recorded so far. */
  async read(block: Block, bytes: number): Promise<ArrayBuffer> {
    const size = Math.ceil(bytes / 4) * 4;
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const staging = this.#device.createBuffer({ size, usage });
    try {
      const encoder = this.#encode();
      this.#endPass();
      encoder.copyBufferToBuffer(block.buffer, 0, staging, 0, size);
      this.submit();
      await this.watch.settled(staging.mapAsync(GPUMapMode.READ));
      return staging.getMappedRange().slice(0, bytes);
    } finally {
      staging.destroy();
    }
  }

  /** Hands what was recorded to the device. */
  submit(): void {
    if (!this.#encoder) return;
    this.#endPass();
    const used = this.#usedSlots * SLOT;
    if (used > 0) this.#device.queue.writeBuffer(this.#slots, 0, this.#given.buffer, 0, used);
    const encoder = this.#encoder;
    this.watch.scoped(() => this.#device.queue.submit([encoder.finish()]));
    this.#encoder = undefined;
    this.#recorded = this.#usedSlots = 0;
    this.#submission++;
    this.made.submissions++;
    for (const { buffer } of this.#doomed) buffer.destroy();
    this.#doomed = [];
  }

  /** Writes numbers down for the next submission; returns the place. */
  #give({ sizes = {}, numbers = {} }: Given): number {
    let at = this.#usedSlots * SLOT;
    for (const size of Object.values(sizes)) {
      this.#given.setUint32(at, size, true);
      at += 4;
    }
    for (const number of Object.values(numbers)) {
      this.#given.setFloat32(at, number, true);
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
    given: Given | undefined,
  ): Pipeline {
    const names = Object.keys(distinctOperands(operands)).join();
    const types = Object.values(operands).map(({ type }) => type).join();
    const key = `${shader.name} ${names} ${types} ${Object.values(constants).join()}`;
    const known = this.#pipelines.get(key);
    if (known) return known;
    const code = program(shader, operands, constants, given);
    const layout = this.#layout(Object.values(distinctOperands(operands)), given !== undefined);
    const pipeline = this.watch.scoped(() =>
      this.#device.createComputePipeline({
        label: shader.name,
        layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: {
          module: this.#device.createShaderModule({ label: shader.name, code }),
          entryPoint: "main",
        },
      })
    );
    const made = { pipeline, layout, id: this.made.pipelines++ };
    this.#pipelines.set(key, made);
    return made;
  }

  #layout(operands: readonly Operand[], given: boolean): GPUBindGroupLayout {
    const buffers: GPUBufferBindingLayout[] = operands.map(({ writes }) => ({
      type: writes ? "storage" : "read-only-storage",
    }));
    if (given) buffers.push({ type: "uniform", hasDynamicOffset: true });
    const visibility = GPUShaderStage.COMPUTE;
    return this.#device.createBindGroupLayout({
      entries: buffers.map((buffer, binding) => ({ binding, visibility, buffer })),
    });
  }

  #bindGroup(
    { layout, id }: Pipeline,
    operands: readonly Operand[],
    given: boolean,
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
    if (given) resources.push({ buffer: this.#slots, size: MOST_GIVEN * 4 });
    const group = this.watch.scoped(() =>
      this.#device.createBindGroup({
        layout,
        entries: resources.map((resource, binding) => ({ binding, resource })),
      })
    );
    this.made.bindGroups++;
    this.#bindGroups.set(key, group);
    for (const { block } of operands) block.bindGroups.add(key);
    return group;
  }
}
