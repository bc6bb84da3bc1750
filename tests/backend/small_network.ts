/** A small network, and the backend and device that the tests of WebGPU run it on. */

import { WebGpuBackend, type WebGpuOptions } from "../../src/backend/webgpu.ts";
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from "../../src/layers/mod.ts";
import { Draw } from "./harness.ts";

/** A backend with its device. */
export async function make(options: WebGpuOptions = {}) {
  const adapter = (await navigator.gpu.requestAdapter())!;
  let device: GPUDevice | undefined;
  const watched = new Proxy(adapter, {
    get(target, key) {
      if (key === "requestDevice") {
        return async (wants: GPUDeviceDescriptor) => (device = await target.requestDevice(wants));
      }
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const backend = await WebGpuBackend.create({ software: true, ...options, adapter: watched });
  return { backend, device: device! };
}

/** A network for 8×8 pixels. */
export function network(): Sequential {
  return new Sequential([
    new Conv2d(1, 4, 3, { padding: 1 }),
    new ReLU(),
    new MaxPool2d(2),
    new Flatten(),
    new Linear(4 * 4 * 4, 10),
  ]);
}

/** Runs a forward pass of a network for 8×8 pixels. */
export async function pass(net: Sequential): Promise<Float32Array> {
  using x = net.backend.upload(new Draw(1).floats([64]).data, [1, 1, 8, 8]);
  using y = net.forward(x);
  return await y.read();
}
