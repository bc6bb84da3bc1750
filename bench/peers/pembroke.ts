/**
 * This library, through its public door.
 *
 * @module
 */

import denoJson from "../../deno.json" with { type: "json" };
import { AlexNet, createBackend } from "../../mod.ts";
import type { PeerFactory } from "./peer.ts";

export const createPeer: PeerFactory = async (weights) => {
  const backend = await createBackend({ device: "wasm" });
  const model = new AlexNet();
  for (const [name, parameter] of model.stateDict()) {
    backend.write(parameter.allocate(backend), weights.get(name));
  }
  return {
    name: "pembroke",
    version: denoJson.version,
    threads: backend.threads,
    async forward(values, batch) {
      const start = performance.now();
      using x = backend.upload(values, model.inputShape(batch));
      using y = model.forward(x);
      const logits = await y.read();
      return { logits, ms: performance.now() - start };
    },
    dispose: () => backend.dispose(),
  };
};
