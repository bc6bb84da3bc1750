/**
 * Runs one program in a page. `chromium.ts` opens the page, and calls the functions that this module
 * puts on the global object.
 *
 * @module
 */

import type { NetworkName } from "../../mod.ts";
import * as litert from "../peers/litert.ts";
import { createNetwork, type Network } from "../peers/network.ts";
import * as onnxruntime from "../peers/onnxruntime.ts";
import * as pembroke from "../peers/pembroke.ts";
import type { NetworkPeer, Peer, PeerOptions, Values, Work } from "../peers/peer.ts";
import * as tfjs from "../peers/tfjs.ts";

const programs = {
  "pembroke": pembroke.createNetworkPeer,
  "pembroke, int8": pembroke.createInt8Peer,
  "onnxruntime-web": async (network: Network, options: PeerOptions) =>
    onnxruntime.createNetworkPeer(await onnxruntime.web("wasm", options), network),
  "tfjs-wasm": (network: Network, options: PeerOptions) =>
    tfjs.createNetworkPeer(network, "wasm", options),
  "litert": litert.createNetworkPeer,
};

/** The name of a program that a page can run. */
export type PageProgram = keyof typeof programs;

let peer: NetworkPeer, work: Work | undefined;

/** What a page does. Arguments and results are JSON. */
const functions = {
  /** Starts a program with the network that `createNetwork` makes everywhere. */
  async start(
    program: PageProgram,
    network: NetworkName,
    seed: number,
    options: PeerOptions,
  ): Promise<Omit<Peer, "dispose">> {
    peer = await programs[program](await createNetwork(network, seed), options);
    return peer;
  },
  /** Prepares a forward pass of the images that the server has. */
  async forward(batch: number): Promise<void> {
    work?.dispose?.();
    const images = await (await fetch("/images")).arrayBuffer();
    work = await peer.forward(new Float32Array(images) as Values, batch);
  },
  /** Runs the forward pass, and returns milliseconds. */
  run: (): Promise<number> => work!.run(),
  output: async (): Promise<number[]> => [...await work!.output()],
};

/** The type of the functions, for the caller. */
export type PageFunctions = typeof functions;

Object.assign(globalThis, functions);
