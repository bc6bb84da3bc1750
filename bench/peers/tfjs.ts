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
import type {
  ConvPeer,
  ConvProblem,
  NetworkPeer,
  Pass,
  Peer,
  PeerOptions,
  Values,
} from "./peer.ts";
import { type Computation, resultWork } from "./result_work.ts";
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

export async function createConv(): Promise<ConvPeer> {
  const { tf, peer } = await start("wasm");
  return {
    ...peer,
    convolve(pass, problem) {
      const computation = passes[pass](tf, problem);
      return resultWork<Tensor>(
        computation,
        async (result) => inPyTorchLayout(pass, problem, await result.data() as Float32Array),
      );
    },
  };
}

type TensorFlow = typeof import("npm:@tensorflow/tfjs-core@4.22.0");

const passes: Readonly<
  Record<Pass, (tf: TensorFlow, problem: ConvProblem) => Computation<Tensor>>
> = {
  forward(tf, problem) {
    const { stride, padding } = problem.layer;
    const x = channelsLast(tf, problem.x, problem.xShape), weight = filter(tf, problem);
    const compute = () => tf.conv2d(x, weight, stride, padding, "NHWC", 1, "floor");
    return { operands: [x, weight], compute };
  },
  dx(tf, problem) {
    const { stride, padding } = problem.layer, [batch, channels, height, width] = problem.xShape;
    const dy = channelsLast(tf, problem.dy, problem.yShape), weight = filter(tf, problem);
    const shape: Sizes = [batch, height, width, channels];
    const compute = () => tf.conv2dTranspose(dy, weight, shape, stride, padding, "floor");
    return { operands: [dy, weight], compute };
  },
  dw(tf, problem) {
    if (!tf.getKernel(filterGradient, "wasm")) {
      throw new Error(`its wasm backend has no kernel ${filterGradient}`);
    }
    const { stride, padding } = problem.layer,
      [outChannels, inChannels, kernel] = problem.weightShape;
    const x = channelsLast(tf, problem.x, problem.xShape);
    const dy = channelsLast(tf, problem.dy, problem.yShape);
    const attributes = {
      strides: [stride, stride],
      pad: padding,
      dataFormat: "NHWC",
      dimRoundingMode: "floor",
      filterShape: [kernel, kernel, inChannels, outChannels],
    };
    const compute = () => tf.engine().runKernel<Tensor>(filterGradient, { x, dy }, attributes);
    return { operands: [x, dy], compute };
  },
};

/** TensorFlow's name for the gradient of a convolution's weights. */
const filterGradient = "Conv2DBackpropFilter";

type Sizes = [number, number, number, number];

/** A tensor [N, H, W, C] with values in the order of [N, C, H, W]. */
function channelsLast(
  tf: TensorFlow,
  values: Values,
  [batch, channels, height, width]: Readonly<Sizes>,
): Tensor4D {
  const swapped = swapInner(values, batch, channels, height * width);
  return tf.tensor4d(swapped, [batch, height, width, channels]);
}

/** The weights of a convolution, HWIO. */
function filter(tf: TensorFlow, { weight, weightShape }: ConvProblem): Tensor4D {
  const [outChannels, inChannels, kernel] = weightShape;
  const reversed = reverseAxes(weight, outChannels, inChannels, kernel ** 2);
  return tf.tensor4d(reversed, [kernel, kernel, inChannels, outChannels]);
}

/** The result of a pass in PyTorch's layout. */
function inPyTorchLayout(
  pass: Pass,
  { xShape, weightShape, yShape }: ConvProblem,
  values: Float32Array,
): Float32Array {
  if (pass === "dw") {
    const [outChannels, inChannels, kernel] = weightShape;
    return reverseAxes(values, kernel ** 2, inChannels, outChannels);
  }
  const [batch, channels, height, width] = pass === "forward" ? yShape : xShape;
  return swapInner(values, batch, height * width, channels);
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
