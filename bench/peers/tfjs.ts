/**
 * TensorFlow.js on its WebAssembly backend (XNNPACK, SIMD) and on its WebGPU backend. In Deno,
 * WebAssembly has one thread, because it starts more only in browsers.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Tensor, Tensor4D } from "npm:@tensorflow/tfjs-core@4.22.0";
import { reverseAxes, swapInner } from "./layout.ts";
import type { Network } from "./network.ts";
import type { ConvPeer, NetworkPeer, Peer, PeerOptions } from "./peer.ts";
import { prepareNetwork } from "./tfjs_network.ts";

/** WebGPU's default limit for a buffer binding, in bytes. It computes zeros if a tensor is larger. */
const maxBindingBytes = 2 ** 27;

export async function createNetworkPeer(
  network: Network,
  device: keyof typeof backends,
  { threads }: PeerOptions = { threads: 1 },
): Promise<NetworkPeer> {
  const { tf, peer } = await start(device, threads);
  const compute = prepareNetwork(tf, network, device === "webgpu" ? maxBindingBytes : Infinity);
  return {
    ...peer,
    forward(x, batch) {
      const [channels, height, width] = network.image;
      const nhwc = swapInner(x, batch, channels, height * width);
      let logits: Float32Array;
      return {
        async run() {
          const start = performance.now();
          const output = compute(tf.tensor4d(nhwc, [batch, height, width, channels]));
          logits = await output.data() as Float32Array;
          const ms = performance.now() - start;
          output.dispose();
          return ms;
        },
        output: () => Promise.resolve(logits),
      };
    },
  };
}

/** TensorFlow's name for the gradient of a convolution's weights. */
const filterGradient = "Conv2DBackpropFilter";

export async function createConv(): Promise<ConvPeer> {
  const { tf, peer } = await start("wasm");
  return {
    ...peer,
    convolve(pass, { layer, xShape, weightShape, yShape, ...values }) {
      const { stride, padding } = layer;
      const [batch, inChannels, height, width] = xShape;
      const [outChannels, , kernel] = weightShape;
      const [, , outHeight, outWidth] = yShape;
      const strides: [number, number] = [stride, stride];
      const nhwc: [number, number, number, number] = [batch, height, width, inChannels];
      const hwio: [number, number, number, number] = [kernel, kernel, inChannels, outChannels];
      const image = () => tf.tensor4d(swapInner(values.x, batch, inChannels, height * width), nhwc);
      const filter = () =>
        tf.tensor4d(reverseAxes(values.weight, outChannels, inChannels, kernel ** 2), hwio);
      const outputGradient = () =>
        tf.tensor4d(
          swapInner(values.dy, batch, outChannels, outHeight * outWidth),
          [batch, outHeight, outWidth, outChannels],
        );

      const operands: Tensor4D[] = [];
      const passes = {
        forward() {
          const x = image(), weight = filter();
          operands.push(x, weight);
          return () => tf.conv2d(x, weight, strides, padding, "NHWC", 1, "floor");
        },
        dx() {
          const dy = outputGradient(), weight = filter();
          operands.push(dy, weight);
          return () => tf.conv2dTranspose(dy, weight, nhwc, strides, padding, "floor");
        },
        dw() {
          if (!tf.getKernel(filterGradient, "wasm")) {
            throw new Error(`its wasm backend has no kernel ${filterGradient}`);
          }
          const x = image(), dy = outputGradient();
          operands.push(x, dy);
          const attributes = { strides, pad: padding, dataFormat: "NHWC", filterShape: hwio };
          return () =>
            tf.engine().runKernel<Tensor>(filterGradient, { x, dy }, {
              ...attributes,
              dimRoundingMode: "floor",
            });
        },
      };
      const compute = passes[pass]();
      let result: Tensor | undefined;
      return {
        run() {
          result?.dispose();
          const start = performance.now();
          result = compute();
          return Promise.resolve(performance.now() - start);
        },
        async output() {
          const data = await result!.data() as Float32Array;
          if (pass === "forward") return swapInner(data, batch, outHeight * outWidth, outChannels);
          if (pass === "dx") return swapInner(data, batch, height * width, inChannels);
          return reverseAxes(data, kernel ** 2, inChannels, outChannels);
        },
        dispose() {
          tf.dispose(operands);
          result?.dispose();
        },
      };
    },
  };
}

async function start(device: keyof typeof backends, threads = 1) {
  const tf = await import("npm:@tensorflow/tfjs-core@4.22.0");
  await backends[device](threads);
  if (!await tf.setBackend(device)) throw new Error(`its ${device} backend does not start`);
  const peer: Peer = {
    name: `tfjs-${device}`,
    version: tf.version_core,
    threads,
    // Frees the backend and all tensors. Unlike after removeBackend(), it can be started again.
    dispose: () => tf.engine().reset(),
  };
  return { tf, peer };
}

/** Imports each backend, which registers itself. */
const backends = {
  async wasm(threads: number) {
    const { env } = await import("npm:@tensorflow/tfjs-core@4.22.0");
    const wasm = await import("npm:@tensorflow/tfjs-backend-wasm@4.22.0");
    // Its binaries are in the npm package. Resolve one of them to find the folder.
    const binary = "npm:@tensorflow/tfjs-backend-wasm@4.22.0/dist/tfjs-backend-wasm-simd.wasm";
    const folder = new URL(".", import.meta.resolve(binary));
    wasm.setWasmPaths(folder.protocol === "file:" ? fileURLToPath(folder) : folder.href);
    wasm.setThreadsCount(threads);
    if (!await env().getAsync("WASM_HAS_SIMD_SUPPORT")) throw new Error("it finds no SIMD");
    if (threads > 1 && !await env().getAsync("WASM_HAS_MULTITHREAD_SUPPORT")) {
      throw new Error("it starts no threads");
    }
  },
  async webgpu() {
    await import("npm:@tensorflow/tfjs-backend-webgpu@4.22.0");
  },
};
