/**
 * ONNX Runtime's WebAssembly build, as it runs in Deno: one thread. More are offered and refused,
 * because its worker threads do not start there.
 *
 * @module
 */

import { IMAGE } from "./architecture.ts";
import { INPUT, onnxModel, OUTPUT } from "./onnx_model.ts";
import type { PeerFactory } from "./peer.ts";

export const createPeer: PeerFactory = async (weights) => {
  const ort = await import("npm:onnxruntime-web@1.30.0");
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(onnxModel(weights), {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
  });
  return {
    name: "onnxruntime-web",
    version: "1.30.0",
    threads: 1,
    async forward(x, batch) {
      const start = performance.now();
      const input = new ort.Tensor("float32", x, [batch, ...IMAGE]);
      const { [OUTPUT]: output } = await session.run({ [INPUT]: input });
      const logits = output.data as Float32Array;
      return { logits, ms: performance.now() - start };
    },
    dispose: () => session.release(),
  };
};
