/**
 * AlexNet's layers on WebGPU one by one, to time each shader.
 *
 * @module
 */

import denoJson from "../../deno.json" with { type: "json" };
import { type Backend, conv2d, createBackend, linear, type Tensor } from "../../mod.ts";
import { partOf } from "../../src/backend/interface.ts";
import { prepareConv } from "../../src/ops/prepared_conv.ts";
import { convolutions, fullyConnected } from "./architecture.ts";
import type { Peer, Work } from "./peer.ts";

/** A layer, and the cost of a forward pass of one image. */
export interface LayerWork {
  readonly name: string;
  /** Operations: two for each multiply-accumulate. */
  readonly flops: number;
  /** Bytes of input, weights and output: the least that must be transferred. */
  readonly bytes: number;
  readonly work: Work;
}

/** Passes that are timed together, because Deno polls the GPU only every 10 ms. */
const passesPerRun = 16;

/** Starts a backend, and prepares its layers. */
export async function createLayers(): Promise<{ peer: Peer; layers: LayerWork[] }> {
  const backend = await createBackend({ device: "webgpu" });
  const peer: Peer = {
    name: "pembroke",
    variant: "webgpu",
    version: denoJson.version,
    threads: 1,
    dispose: () => backend.dispose(),
  };
  const values = (...shape: number[]) => {
    const tensor = backend.empty(shape);
    backend.fill(tensor, 0.01);
    return tensor;
  };
  const layers: LayerWork[] = [];
  for (const { name, layer, size, outSize } of convolutions) {
    const { inChannels, outChannels, kernel, stride, padding } = layer;
    const x = values(1, inChannels, size, size), bias = values(outChannels);
    const weight = values(outChannels, inChannels, kernel, kernel), y = outChannels * outSize ** 2;
    const prepared = prepareConv(weight);
    layers.push({
      name,
      flops: 2 * y * inChannels * kernel ** 2,
      bytes: 4 * (x.size + weight.size + y),
      work: repeated(
        backend,
        () => conv2d(x, prepared, bias, { stride, padding, activation: "relu" }),
      ),
    });
  }
  for (const { name, inFeatures, outFeatures } of fullyConnected) {
    const x = values(1, inFeatures), weight = values(outFeatures, inFeatures);
    layers.push({
      name,
      flops: 2 * weight.size,
      bytes: 4 * (x.size + weight.size + outFeatures),
      work: repeated(backend, () => linear(x, weight, null)),
    });
  }
  return { peer, layers };
}

/** Times several passes, and returns the time of one. */
function repeated(backend: Backend, pass: () => Tensor): Work {
  const one = backend.empty([1]);
  let y: Tensor | undefined;
  return {
    async run() {
      await one.read();
      const before = performance.now();
      await one.read();
      const start = performance.now(), waiting = start - before;
      for (let i = 0; i < passesPerRun; i++) {
        y?.dispose();
        y = pass();
      }
      await partOf(y!, 0, [1]).read();
      return Math.max(0, performance.now() - start - waiting) / passesPerRun;
    },
    output: () => y!.read(),
    dispose: () => y?.dispose(),
  };
}
