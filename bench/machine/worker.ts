/** One thread of machine.ts: times what it is told to do, in an instance and a memory of its own. */

import { instantiate } from "./kernels.ts";

/** What a worker is told first: the kernels, and how much it is to read from memory. */
export interface Start {
  readonly module: WebAssembly.Module;
  readonly bytes: number;
}

/** What it is told then, each time there is something to time; it answers with milliseconds. */
export interface Turn {
  readonly what: "arithmetic" | "streaming";
  /** Tiles to compute; memory is always read once. */
  readonly tiles: number;
}

/** A worker's global scope, of which the types of a document's know nothing. */
declare const self: {
  onmessage: (event: MessageEvent) => void;
  postMessage(ms: number): void;
};

const PAGE = 65536;

self.onmessage = ({ data: { module, bytes } }: MessageEvent<Start>) => {
  const { memory, kernels } = instantiate(module);
  kernels.prepare();
  let from = 0;
  self.onmessage = ({ data: { what, tiles } }: MessageEvent<Turn>) => {
    if (what === "streaming" && from === 0) { // only now: it may never be asked for
      from = memory.grow(Math.ceil(bytes / PAGE)) * PAGE;
      kernels.touch(from, bytes);
    }
    const start = performance.now();
    if (what === "streaming") kernels.sum(from, bytes);
    else kernels.multiply(tiles);
    self.postMessage(performance.now() - start);
  };
};
