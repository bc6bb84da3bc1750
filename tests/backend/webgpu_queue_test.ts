/** The queue of a GPU: what it creates, in which order work runs, and what waits for shaders. */

import { kernelsOf, partOf } from "../../src/backend/interface.ts";
import { createBackend } from "../../src/backend/mod.ts";
import { WebGpuBackend } from "../../src/backend/webgpu.ts";
import type { PooledBuffer } from "../../src/backend/webgpu/buffers.ts";
import { DeviceLostError } from "../../src/errors.ts";
import * as ops from "../../src/ops/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects } from "../assert.ts";
import { testWithAdapter } from "../webgpu.ts";
import { make, network, pass } from "./small_network.ts";

testWithAdapter("later forward passes create nothing, submit once, and leak nothing", async () => {
  using backend = await WebGpuBackend.create({ software: true });
  using net = network().init(backend, { seed: 1 });
  const first = await pass(net), before = { ...backend.counts };
  assertEquals(await pass(net), first);
  assertEquals(backend.counts, { ...before, submissions: before.submissions + 1 });
  const { bytesInUse } = backend, { buffers, bindGroups } = backend.counts;
  for (let i = 0; i < 200; i++) {
    using x = backend.upload(new Float32Array(64), [1, 1, 8, 8]);
    using _y = net.forward(x);
  }
  await pass(net);
  assertEquals(backend.bytesInUse, bytesInUse);
  assert(backend.counts.buffers - buffers <= 2, `${backend.counts.buffers - buffers} new buffers`);
  assert(backend.counts.bindGroups - bindGroups <= 4, "bind groups are created again and again");
});

testWithAdapter("large buffers are destroyed when their tensors are disposed", async () => {
  const { backend, device } = await make();
  using _backend = backend;
  let destroyed = 0;
  const { createBuffer } = device;
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer.call(device, descriptor), { destroy } = buffer;
    buffer.destroy = () => {
      destroyed++;
      return destroy.call(buffer);
    };
    return buffer;
  };
  const x = backend.empty([2 ** 22]);
  backend.fill(x, 1);
  x.dispose();
  assertEquals(destroyed, 0, "commands that wait still name it");
  using y = backend.upload([1], [1]);
  backend.fill(y, 2);
  assertEquals(await y.read(), new Float32Array([2]));
  assertEquals(destroyed, 2, "the tensor's, and the one it was read through");
});

testWithAdapter("a chain of large tensors needs two buffers", async () => {
  using backend = await WebGpuBackend.create({ software: true });
  let x = backend.empty([9 * 2 ** 18]); // too large to be kept
  backend.fill(x, 1);
  for (let i = 0; i < 3; i++) {
    using before = x;
    x = ops.add(before, before);
  }
  using last = x;
  assertEquals(await partOf(last, 0, [1]).read(), new Float32Array([8]));
  assertEquals(backend.counts.buffers, 2);
});

testWithAdapter("bind groups of destroyed buffers leave nothing behind", async () => {
  using backend = await WebGpuBackend.create({ software: true });
  using factor = backend.upload([2], [1]);
  for (let i = 0; i < 3; i++) {
    using x = backend.empty([9 * 2 ** 18 + 64 * i]), y = ops.mul(x, factor);
    await partOf(y, 0, [1]).read();
  }
  const { block } = factor.storage as unknown as { readonly block: PooledBuffer };
  assertEquals(block.bindGroups.size, 0);
});

/** Holds pipelines back until `release` is called, which compiles the last one first. */
function holdPipelines(device: GPUDevice) {
  const { createComputePipelineAsync } = device, held: (() => void)[] = [];
  device.createComputePipelineAsync = async (descriptor) => {
    await new Promise<void>((resolve) => held.push(resolve));
    return await createComputePipelineAsync.call(device, descriptor);
  };
  return { held, release: () => held.toReversed().forEach((resolve) => resolve()) };
}

testWithAdapter("pipelines compile at the same time, and dispatches keep their order", async () => {
  const { backend, device } = await make();
  using _backend = backend;
  using net = network().init(backend, { seed: 1 });
  const { held, release } = holdPipelines(device);
  const waiting = pass(net);
  assert(held.length >= 4, `${held.length} pipelines are being compiled`);
  assertEquals(held.length, backend.counts.pipelines);
  assertEquals(backend.counts.submissions, 0);
  release();
  using wasm = await createBackend({ device: "wasm" });
  using same = network().init(wasm, { seed: 1 });
  assertAllClose(await waiting, await pass(same), { abs: 1e-5 });
});

testWithAdapter("a write does not overtake dispatches that wait for pipelines", async () => {
  const { backend, device } = await make();
  using _backend = backend;
  const { release } = holdPipelines(device);
  using x = backend.upload([-1, 2], [2]);
  using y = ops.relu(x);
  const before = y.read();
  backend.write(x, new Float32Array([5, -7]));
  using z = ops.relu(x);
  const after = z.read();
  release();
  assertEquals(await before, new Float32Array([0, 2]));
  assertEquals(await after, new Float32Array([5, 0]));
});

testWithAdapter("a write does not overtake a read that waits for pipelines", async () => {
  const { backend, device } = await make();
  using _backend = backend;
  const { release } = holdPipelines(device);
  using x = backend.upload([-1, 2], [2]);
  using _y = ops.relu(x);
  const disposed = backend.upload([3, 4], [2]), first = disposed.read();
  disposed.dispose();
  using reused = backend.upload([5, 6], [2]);
  const second = reused.read();
  backend.write(reused, new Float32Array([7, 8]));
  release();
  assertEquals(await first, new Float32Array([3, 4]));
  assertEquals(await second, new Float32Array([5, 6]));
  assertEquals(await reused.read(), new Float32Array([7, 8]));
});

testWithAdapter("buffers that waiting dispatches use outlive their tensors", async () => {
  const { backend, device } = await make();
  using _backend = backend;
  const { release } = holdPipelines(device);
  const x = backend.empty([2 ** 22]); // too large to be kept for the next tensor
  backend.fill(x, 3);
  using y = ops.relu(x);
  const first = y.view([2 ** 22]).read();
  x.dispose();
  release();
  assertEquals((await first).slice(-1), new Float32Array([3]));
});

testWithAdapter("the loss of a device while pipelines compile is reported", async () => {
  const { backend, device } = await make();
  using _backend = backend;
  holdPipelines(device); // for ever
  using x = backend.upload([-1, 2], [2]);
  using y = ops.relu(x);
  const read = y.read();
  device.destroy();
  await assertRejects(() => read, DeviceLostError, "webgpu: ");
});

testWithAdapter("many submissions do not wait for pipelines", async () => {
  const { backend, device } = await make();
  using _backend = backend;
  const { release } = holdPipelines(device);
  using x = backend.upload([1], [1]);
  for (let i = 0; i < 9000; i++) kernelsOf(backend).axpby(x, x, 0, 1.001);
  assert(backend.counts.submissions > 16, `${backend.counts.submissions} submissions`);
  release();
  assertAllClose(await x.read(), [1.001 ** 9000], { rel: 1e-2 }); // each of the products is rounded
});
