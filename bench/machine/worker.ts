/**
 * A thread of machine.ts. It times kernels in its own instance and memory.
 *
 * @module
 */

import { instantiate } from "./kernels.ts";

/** The first message to a worker. */
export interface Start {
  readonly module: WebAssembly.Module;
  /** Bytes to read from memory in each streaming run. */
  readonly bytes: number;
}

/** A request to time something. The worker replies with milliseconds. */
export interface TimingRequest {
  readonly what: "arithmetic" | "streaming";
  /** Tiles to compute in an arithmetic run. */
  readonly tiles: number;
}

/** The worker's global scope, which the types of a document lack. */
declare const self: {
  onmessage: (event: MessageEvent) => void;
  postMessage(ms: number): void;
};

const pageBytes = 65536;

self.onmessage = ({ data: { module, bytes } }: MessageEvent<Start>) => {
  const { memory, kernels } = instantiate(module);
  kernels.prepare();
  let from = 0;
  self.onmessage = ({ data: { what, tiles } }: MessageEvent<TimingRequest>) => {
    if (what === "streaming" && from === 0) { // allocate on first use
      from = memory.grow(Math.ceil(bytes / pageBytes)) * pageBytes;
      kernels.touch(from, bytes);
    }
    const start = performance.now();
    if (what === "streaming") kernels.sum(from, bytes);
    else kernels.multiply(tiles);
    self.postMessage(performance.now() - start);
  };
};
