/**
 * The programs that run networks. Suites choose from them. Each is imported when it starts.
 *
 * @module
 */

import type { Program } from "../lib/programs.ts";
import type { Network } from "./network.ts";
import type { NetworkPeer } from "./peer.ts";

/** A program that runs a network. */
export type NetworkProgram = Program<NetworkPeer, Network>;

/** This library on WebAssembly. */
export const pembroke: NetworkProgram = {
  name: "pembroke",
  async create(network, options) {
    const { createNetworkPeer } = await import("./pembroke.ts");
    return createNetworkPeer(network, options);
  },
};

/** The same, with weights in int8. */
export const pembrokeInt8: NetworkProgram = {
  name: "pembroke",
  async create(network, options) {
    const { createInt8Peer } = await import("./pembroke.ts");
    return createInt8Peer(network, options);
  },
};

/** This library on WebGPU. */
export const pembrokeWebgpu: NetworkProgram = {
  name: "pembroke-webgpu",
  once: true,
  async create(network) {
    const { createGpuPeer } = await import("./pembroke.ts");
    return createGpuPeer(network);
  },
};

/** The same, with fully connected weights in f16. */
export const pembrokeWebgpuHalf: NetworkProgram = {
  name: "pembroke-webgpu",
  once: true,
  async create(network) {
    const { createHalfGpuPeer } = await import("./pembroke.ts");
    return createHalfGpuPeer(network);
  },
};

export const onnxruntimeWeb: NetworkProgram = {
  name: "onnxruntime-web",
  once: true,
  async create(network) {
    const { createNetworkPeer, web } = await import("./onnxruntime.ts");
    return createNetworkPeer(await web("wasm"), network);
  },
};

export const onnxruntimeWebgpu: NetworkProgram = {
  name: "onnxruntime-webgpu",
  once: true,
  async create(network) {
    const { createNetworkPeer, web } = await import("./onnxruntime.ts");
    return createNetworkPeer(await web("webgpu"), network);
  },
};

export const onnxruntimeNode: NetworkProgram = {
  name: "onnxruntime-node",
  async create(network, options) {
    const { createNetworkPeer, node } = await import("./onnxruntime.ts");
    return createNetworkPeer(await node(options), network);
  },
};

export const tfjsWasm: NetworkProgram = {
  name: "tfjs-wasm",
  once: true,
  async create(network) {
    const { createNetworkPeer } = await import("./tfjs.ts");
    return createNetworkPeer(network, "wasm");
  },
};

export const tfjsWebgpu: NetworkProgram = {
  name: "tfjs-webgpu",
  once: true,
  async create(network) {
    const { createNetworkPeer } = await import("./tfjs.ts");
    return createNetworkPeer(network, "webgpu");
  },
};

export const pytorch: NetworkProgram = {
  name: "pytorch",
  async create(network, options) {
    const { createNetworkPeer } = await import("./pytorch.ts");
    return createNetworkPeer(network, options);
  },
};
