/**
 * TensorFlow.js on its WebAssembly backend (XNNPACK, SIMD). One thread: it starts more only in
 * browsers. Convolution, bias and ReLU are one fused call, as its own converter makes them.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { ALEXNET, FEATURES, IMAGE } from "./architecture.ts";
import type { PeerFactory } from "./peer.ts";

type Values = Float32Array<ArrayBuffer>;

/** How many pixels one channel has where the convolutions end. */
const PIXELS = FEATURES.height * FEATURES.width;

export const createPeer: PeerFactory = async (weights) => {
  const tf = await import("npm:@tensorflow/tfjs-core@4.22.0");
  const wasm = await import("npm:@tensorflow/tfjs-backend-wasm@4.22.0");
  // Its binaries lie in the npm package; resolving any file there says where that is.
  const binary = "npm:@tensorflow/tfjs-backend-wasm@4.22.0/dist/tfjs-backend-wasm-simd.wasm";
  wasm.setWasmPaths(fileURLToPath(new URL(".", import.meta.resolve(binary))));
  if (!await tf.setBackend("wasm")) throw new Error("its wasm backend does not start");
  if (!await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT")) throw new Error("it finds no SIMD");

  const layers = ALEXNET.map((layer) => {
    if (layer.op === "pool") return layer;
    const values = weights.get(`${layer.name}.weight`);
    const bias = tf.tensor1d(weights.get(`${layer.name}.bias`));
    if (layer.op === "conv") { // OIHW to HWIO
      const { kernel, inChannels, outChannels } = layer;
      const filter = reverseAxes(values, outChannels, inChannels, kernel ** 2);
      return {
        ...layer,
        bias,
        weight: tf.tensor4d(filter, [kernel, kernel, inChannels, outChannels]),
      };
    }
    // [out, in] to [in, out]. The first one's inputs are pooled features that PyTorch flattens as
    // channels, rows, columns and TensorFlow as rows, columns, channels.
    const { inFeatures, outFeatures } = layer;
    const pixels = inFeatures === FEATURES.channels * PIXELS ? PIXELS : 1;
    const matrix = reverseAxes(values, outFeatures, inFeatures / pixels, pixels);
    return { ...layer, bias, weight: tf.tensor2d(matrix, [inFeatures, outFeatures]) };
  });

  const run = (x: Values, batch: number) =>
    tf.tidy(() => {
      const [channels, height, width] = IMAGE;
      let image = tf.tensor4d(x, [batch, height, width, channels]);
      let flat = undefined;
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
          flat = tf.fused.matMul({
            a: flat ?? tf.reshape(image, [batch, layer.inFeatures]),
            b: layer.weight,
            bias: layer.bias,
            activation: layer.relu ? "relu" : "linear",
          });
        }
      }
      return flat!;
    });

  return {
    name: "tfjs-wasm",
    version: tf.version_core,
    threads: 1,
    async forward(x, batch) {
      const nhwc = channelsLast(x, batch);
      const start = performance.now();
      const output = run(nhwc, batch);
      const logits = await output.data() as Float32Array;
      const ms = performance.now() - start;
      output.dispose();
      return { logits, ms };
    },
    dispose: () => {
      for (const layer of layers) if (layer.op !== "pool") tf.dispose([layer.weight, layer.bias]);
      tf.removeBackend("wasm");
    },
  };
};

/** [a, b, c] to [c, b, a]. */
function reverseAxes(values: Values, a: number, b: number, c: number): Values {
  const out = new Float32Array(values.length);
  let at = 0;
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      for (let k = 0; k < c; k++) out[(k * b + j) * a + i] = values[at++];
    }
  }
  return out;
}

/** NCHW to NHWC. */
function channelsLast(x: Values, batch: number): Values {
  const [channels, height, width] = IMAGE;
  const size = channels * height * width;
  const out = new Float32Array(x.length);
  for (let n = 0; n < batch; n++) {
    const image = x.subarray(n * size, (n + 1) * size);
    out.set(reverseAxes(image, channels, 1, height * width), n * size);
  }
  return out;
}
