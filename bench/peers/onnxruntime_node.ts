/**
 * ONNX Runtime's native build: what the same machine does outside of WebAssembly, with every
 * instruction the processor has. Its npm package ships the library for the CPU; the install script
 * that Deno leaves out only fetches the one for CUDA.
 *
 * @module
 */

import { IMAGE } from "./architecture.ts";
import { INPUT, onnxModel, OUTPUT } from "./onnx_model.ts";
import type { PeerFactory } from "./peer.ts";

export const createPeer: PeerFactory = async (weights, { threads }) => {
  const ort = await import("npm:onnxruntime-node@1.30.0");
  const session = await ort.InferenceSession.create(onnxModel(weights), {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
  return {
    name: "onnxruntime-node",
    version: "1.30.0",
    threads,
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
