/**
 * The command queue of a device. Dispatches are recorded, and submitted together when something is
 * read or written. Pipelines and bind groups are created once and reused. Pipelines compile at the
 * same time, while the caller goes on: recorded dispatches wait for theirs, in order.
 *
 * @module
 */

import { BufferPool, hasSize, type PooledBuffer } from "./buffers.ts";
import { type Pipeline, Pipelines } from "./pipelines.ts";
import { DeviceWatch } from "./watch.ts";
import {
  type Constants,
  distinctOperands,
  maxUniforms,
  type Operand,
  type Operands,
  type Shader,
  type Uniforms,
} from "./shader.ts";

/** Recorded dispatches after which they are submitted, so that long runs keep the device busy. */
const maxRecorded = 512;
/** Submissions that wait for pipelines; with more, the rest is compiled at once. */
const maxWaiting = 16;
/** Bytes for the uniforms of a dispatch; uniform buffers are bound at multiples of this. */
const slotBytes = 256;
/** Dispatches with uniforms in a submission. */
const slotCount = 256;
/** Bytes that are written at a time. */
const writeChunk = 16 * 2 ** 20;

/** One dispatch. */
export interface Dispatch {
  readonly shader: Shader;
  readonly operands: Operands;
  readonly constants: Constants;
  /** Workgroups along each axis. */
  readonly groups: readonly [across: number, down: number];
  readonly uniforms?: Uniforms;
}

/** A dispatch whose operands are bound. */
interface Recorded {
  readonly pipeline: Pipeline;
  readonly bindGroup: GPUBindGroup;
  /** The offset of its uniforms, if it has any. */
  readonly offset: number[];
  readonly groups: Dispatch["groups"];
}

/** A copy to a buffer that the caller maps. */
interface Copy {
  readonly from: GPUBuffer;
  readonly to: GPUBuffer;
  readonly bytes: number;
}

/** A bind group, and the buffers whose `bindGroups` have its key. */
interface BoundGroup {
  readonly group: GPUBindGroup;
  readonly blocks: readonly PooledBuffer[];
}

/** Work that waits until its pipelines are compiled, and those of the work before it. */
interface Waiting {
  readonly pipelines: ReadonlySet<Pipeline>;
  run(): void;
}

/** Records and submits the commands of a device. */
export class Queue {
  readonly watch: DeviceWatch;
  readonly #device: GPUDevice;
  readonly #buffers: BufferPool;
  readonly #pipelines: Pipelines;
  readonly #bindGroups = new Map<string, BoundGroup>();
  readonly #uniformBuffer: GPUBuffer;
  readonly #uniformData = new DataView(new ArrayBuffer(slotBytes * slotCount));
  #usedSlots = 0;
  #recorded: Recorded[] = [];
  /** The number of the submission that is being recorded. */
  #submission = 0;
  /** Number of submissions that the device has received. */
  #submitted = 0;
  #waiting: Waiting[] = [];
  /**
   * Buffers to destroy once the recorded commands that use them are submitted, unless used again.
   */
  #toDestroy: PooledBuffer[] = [];
  /** Counts what was created so far. Tests check that nothing is created twice. */
  readonly counts = { pipelines: 0, bindGroups: 0, submissions: 0, buffers: 0 };

  constructor(device: GPUDevice) {
    this.#device = device;
    this.watch = new DeviceWatch(device);
    this.#pipelines = new Pipelines(device, this.watch, () => this.#advance());
    this.#buffers = new BufferPool(device);
    this.#uniformBuffer = device.createBuffer({
      size: slotBytes * slotCount,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  /** Returns a buffer of at least this size. */
  acquire(bytes: number): PooledBuffer {
    const freed = this.#toDestroy.findIndex((block) => hasSize(block, bytes));
    if (freed >= 0) return this.#toDestroy.splice(freed, 1)[0];
    const block = this.watch.guarded(() => this.#buffers.acquire(bytes));
    this.counts.buffers = Math.max(this.counts.buffers, block.id + 1);
    return block;
  }

  /** Takes a buffer back. */
  release(block: PooledBuffer): void {
    if (this.#buffers.release(block)) return;
    for (const key of block.bindGroups) {
      for (const other of this.#bindGroups.get(key)!.blocks) other.bindGroups.delete(key);
      this.#bindGroups.delete(key);
    }
    if (block.submission === this.#submission) this.#toDestroy.push(block);
    else if (this.#waiting.length === 0) block.buffer.destroy();
    else this.#waiting.push({ pipelines: new Set(), run: () => block.buffer.destroy() });
  }

  /** Overwrites bytes of a buffer, after all commands recorded so far. */
  write(block: PooledBuffer, values: ArrayBufferView<ArrayBufferLike>, offset: number): void {
    if (block.submission === this.#submission) this.submit();
    if (block.submission >= this.#submitted) this.#compileAtOnce();
    const { buffer, byteOffset, byteLength } = values;
    for (let at = 0; at < byteLength; at += writeChunk) {
      const chunk = new Uint8Array(buffer, byteOffset + at, Math.min(writeChunk, byteLength - at));
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
    if (uniforms && this.#usedSlots === slotCount || this.#recorded.length >= maxRecorded) {
      this.submit();
    }
    const distinct = Object.values(distinctOperands(operands));
    const pipeline = this.#pipelines.get(shader, operands, constants, uniforms);
    this.counts.pipelines = Math.max(this.counts.pipelines, pipeline.id + 1);
    const bindGroup = this.#bindGroup(pipeline, distinct, uniforms !== undefined);
    const offset = uniforms ? [this.#writeUniforms(uniforms) * slotBytes] : [];
    this.#recorded.push({ pipeline, bindGroup, offset, groups });
    for (const { block } of distinct) block.submission = this.#submission;
  }

  /** Reads the first bytes of a buffer, after all commands recorded so far. */
  async read(block: PooledBuffer, bytes: number): Promise<ArrayBuffer> {
    const size = Math.ceil(bytes / 4) * 4;
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const { watch } = this;
    const staging = watch.guarded(() => this.#device.createBuffer({ size, usage }));
    try {
      const submission = this.#submission;
      block.submission = submission; // a later write must not overtake the copy
      this.submit({ from: block.buffer, to: staging, bytes: size });
      while (this.#submitted <= submission) {
        await watch.untilLost(this.#pipelines.compiled());
        watch.check();
      }
      await watch.resultOf(watch.guarded(() => staging.mapAsync(GPUMapMode.READ)));
      return watch.guarded(() => staging.getMappedRange().slice(0, bytes));
    } finally {
      staging.destroy();
    }
  }

  /** Submits what was recorded, and then a copy, as soon as the pipelines are compiled. */
  submit(copy?: Copy): void {
    const recorded = this.#recorded, toDestroy = this.#toDestroy;
    if (recorded.length === 0 && !copy) return;
    const uniforms = this.#uniformData.buffer.slice(0, this.#usedSlots * slotBytes);
    this.#recorded = [];
    this.#toDestroy = [];
    this.#usedSlots = 0;
    this.#submission++;
    this.#waiting.push({
      pipelines: new Set(recorded.map(({ pipeline }) => pipeline)),
      run: () => {
        this.#encode(recorded, uniforms, copy);
        for (const { buffer } of toDestroy) buffer.destroy();
      },
    });
    if (this.#waiting.length > maxWaiting) this.#compileAtOnce();
    else this.#advance();
  }

  #encode(recorded: readonly Recorded[], uniforms: ArrayBuffer, copy: Copy | undefined): void {
    const { queue } = this.#device, encoder = this.#device.createCommandEncoder();
    if (recorded.length > 0) {
      const pass = encoder.beginComputePass();
      for (const { pipeline, bindGroup, offset, groups } of recorded) {
        pass.setPipeline(pipeline.compiled!);
        pass.setBindGroup(0, bindGroup, offset);
        pass.dispatchWorkgroups(...groups);
      }
      pass.end();
    }
    if (copy) encoder.copyBufferToBuffer(copy.from, 0, copy.to, 0, copy.bytes);
    if (uniforms.byteLength > 0) queue.writeBuffer(this.#uniformBuffer, 0, uniforms);
    this.watch.checked(() => queue.submit([encoder.finish()]));
    this.#submitted++;
    this.counts.submissions++;
  }

  /** Runs the work whose pipelines are compiled. After a failure, none will ever run. */
  #advance(): void {
    const isCompiled = ({ compiled }: Pipeline) => compiled !== undefined;
    try {
      while (this.#waiting.length > 0 && [...this.#waiting[0].pipelines].every(isCompiled)) {
        this.watch.guarded(this.#waiting.shift()!.run);
      }
    } catch (error) {
      this.#waiting = [];
      throw error;
    }
  }

  /** Compiles all pipelines without waiting, and runs all work. */
  #compileAtOnce(): void {
    this.#pipelines.compileAtOnce();
    this.#advance();
  }

  /** Stores uniforms for the next submission, and returns their slot. */
  #writeUniforms({ u32 = {}, f32 = {} }: Uniforms): number {
    let at = this.#usedSlots * slotBytes;
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

  #bindGroup(
    { layout, id }: Pipeline,
    operands: readonly Operand[],
    hasUniforms: boolean,
  ): GPUBindGroup {
    const parts = operands.map(({ block, offset = 0, size }) => `${block.id}:${offset}:${size}`);
    const key = `${id} ${parts.join()}`;
    const known = this.#bindGroups.get(key);
    if (known) return known.group;
    const resources: GPUBufferBinding[] = operands.map(({ block, offset, size }) => ({
      buffer: block.buffer,
      offset,
      size,
    }));
    if (hasUniforms) resources.push({ buffer: this.#uniformBuffer, size: maxUniforms * 4 });
    const group = this.watch.checked(() =>
      this.#device.createBindGroup({
        layout,
        entries: resources.map((resource, binding) => ({ binding, resource })),
      })
    );
    this.counts.bindGroups++;
    const blocks = operands.map(({ block }) => block);
    this.#bindGroups.set(key, { group, blocks });
    for (const block of blocks) block.bindGroups.add(key);
    return group;
  }
}
