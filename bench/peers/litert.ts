/**
 * LiteRT.js, formerly TensorFlow Lite, on its WebAssembly backend (XNNPACK, relaxed SIMD). It runs only
 * in pages, because it loads its scripts into the document.
 *
 * @module
 */

import { swapInner } from "./layout.ts";
import type { Network } from "./network.ts";
import type { NetworkPeer, PeerOptions } from "./peer.ts";
import { tfliteModel } from "./tflite_model.ts";

export async function createNetworkPeer(
  network: Network,
  { threads }: PeerOptions,
): Promise<NetworkPeer> {
  const litert = await import("npm:@litertjs/core@2.5.3");
  const folder = new URL(".", import.meta.resolve("npm:@litertjs/core@2.5.3/wasm/"));
  await litert.loadLiteRt(folder.href, { threads: threads > 1 });
  return {
    name: "litert",
    version: "2.5.3",
    threads,
    async forward(x, batch) {
      const [channels, height, width] = network.image;
      const nhwc = swapInner(x, batch, channels, height * width);
      const options = { accelerator: "wasm", cpuOptions: { numThreads: threads } } as const;
      const model = await litert.loadAndCompile(tfliteModel(network, batch), options);
      let logits: Float32Array;
      return {
        async run() {
          const start = performance.now();
          const input = new litert.Tensor(nhwc, [batch, height, width, channels]);
          const [output] = await model.run(input);
          logits = await output.data() as Float32Array;
          const ms = performance.now() - start;
          input.delete();
          output.delete();
          return ms;
        },
        output: () => Promise.resolve(logits),
        dispose: () => model.delete(),
      };
    },
    dispose() {},
  };
}
