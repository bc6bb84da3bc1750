/**
 * TensorFlow.js on its WebAssembly backend (XNNPACK, SIMD) and on its WebGPU backend. WebAssembly has
 * one thread, because it starts more only in browsers. Convolution, bias and ReLU are one fused call,
 * as in the output of its own converter.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Tensor, Tensor2D, Tensor4D } from "npm:@tensorflow/tfjs-core@4.22.0";
import { ALEXNET, FEATURES, IMAGE } from "./architecture.ts";
import { reverseAxes, swapInner } from "./layout.ts";
import type { AlexNetPeer, AlexNetWeights, ConvPeer, Peer } from "./peer.ts";

/** Pixels per channel after the last convolution and pooling. */
const PIXELS = FEATURES.height * FEATURES.width;

/** WebGPU's default limit for a buffer binding, in bytes. */
const MAX_BINDING_BYTES = 2 ** 27;

export async function createAlexNet(
  weights: AlexNetWeights,
  device: keyof typeof backends,
): Promise<AlexNetPeer> {
  const { tf, peer } = await start(device);
  const layers = ALEXNET.map((layer) => {
    if (layer.op === "pool") return layer;
    const values = weights.get(`${layer.name}.weight`);
    const bias = tf.tensor1d(weights.get(`${layer.name}.bias`));
    if (layer.op === "conv") { // OIHW to HWIO
      const { kernel, inChannels, outChannels } = layer;
      const filter = reverseAxes(values, outChannels, inChannels, kernel ** 2);
      const shape: [number, number, number, number] = [kernel, kernel, inChannels, outChannels];
      return { ...layer, bias, weight: tf.tensor4d(filter, shape) };
    }
    // [out, in] to [in, out]. The first linear layer takes the pooled features, which PyTorch flattens
    // as channels, rows, columns, and TensorFlow as rows, columns, channels.
    const { inFeatures, outFeatures } = layer;
    const pixels = inFeatures === FEATURES.channels * PIXELS ? PIXELS : 1;
    const matrix = reverseAxes(values, outFeatures, inFeatures / pixels, pixels);
    // On WebGPU it binds whole tensors, and computes zeros if they are too large.
    const count = device === "webgpu" ? Math.ceil(4 * matrix.length / MAX_BINDING_BYTES) : 1;
    const width = outFeatures / count;
    const parts = Array.from({ length: count }, (_, part) => {
      const columns = new Float32Array(inFeatures * width);
      for (let row = 0; row < inFeatures; row++) {
        const from = row * outFeatures + part * width;
        columns.set(matrix.subarray(from, from + width), row * width);
      }
      const weight = tf.tensor2d(columns, [inFeatures, width]);
      return { weight, bias: tf.slice(bias, part * width, width) };
    });
    return { ...layer, parts };
  });

  const network = (input: Tensor4D) => {
    let image = input;
    let flat: Tensor2D | undefined;
    for (const layer of layers) {
      if (layer.op === "conv") {
        image = tf.fused.conv2d({
          x: image,
          filter: layer.weight,
          strides: layer.stride,
          pad: layer.padding,
          dimRoundingMode: "floor",
          bias: layer.bias,
          activation: "relu",
        });
      } else if (layer.op === "pool") {
        image = tf.maxPool(image, 3, 2, "valid");
      } else {
        const a: Tensor2D = flat ?? tf.reshape(image, [image.shape[0], layer.inFeatures]);
        const activation = layer.relu ? "relu" as const : "linear" as const;
        const results = layer.parts.map(({ weight, bias }) =>
          tf.fused.matMul({ a, b: weight, bias, activation })
        );
        flat = tf.reshape(tf.concat(results, 1), [image.shape[0], layer.outFeatures]);
      }
    }
    return flat!;
  };

  return {
    ...peer,
    forward(x, batch) {
      const [channels, height, width] = IMAGE;
      const nhwc = swapInner(x, batch, channels, height * width);
      let logits: Float32Array;
      return {
        async run() {
          const start = performance.now();
          const shape: [number, number, number, number] = [batch, height, width, channels];
          const output = tf.tidy(() => network(tf.tensor4d(nhwc, shape)));
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
const FILTER_GRADIENT = "Conv2DBackpropFilter";

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
          if (!tf.getKernel(FILTER_GRADIENT, "wasm")) {
            throw new Error(`its wasm backend has no kernel ${FILTER_GRADIENT}`);
          }
          const x = image(), dy = outputGradient();
          operands.push(x, dy);
          const attributes = { strides, pad: padding, dataFormat: "NHWC", filterShape: hwio };
          return () =>
            tf.engine().runKernel<Tensor>(FILTER_GRADIENT, { x, dy }, {
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

async function start(device: keyof typeof backends) {
  const tf = await import("npm:@tensorflow/tfjs-core@4.22.0");
  await backends[device]();
  if (!await tf.setBackend(device)) throw new Error(`its ${device} backend does not start`);
  const peer: Peer = {
    name: `tfjs-${device}`,
    version: tf.version_core,
    threads: 1,
    // Frees the backend and all tensors. Unlike after removeBackend(), it can be started again.
    dispose: () => tf.engine().reset(),
  };
  return { tf, peer };
}

/** Imports each backend, which registers itself. */
const backends = {
  async wasm() {
    const { env } = await import("npm:@tensorflow/tfjs-core@4.22.0");
    const wasm = await import("npm:@tensorflow/tfjs-backend-wasm@4.22.0");
    // Its binaries are in the npm package. Resolve one of them to find the folder.
    const binary = "npm:@tensorflow/tfjs-backend-wasm@4.22.0/dist/tfjs-backend-wasm-simd.wasm";
    wasm.setWasmPaths(fileURLToPath(new URL(".", import.meta.resolve(binary))));
    if (!await env().getAsync("WASM_HAS_SIMD_SUPPORT")) throw new Error("it finds no SIMD");
  },
  async webgpu() {
    await import("npm:@tensorflow/tfjs-backend-webgpu@4.22.0");
  },
};
