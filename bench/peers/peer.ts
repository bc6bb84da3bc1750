/**
 * What the AlexNet bench asks of every program that it times: one adapter per program beside this
 * file, each importing its program only when its factory runs, so that one that is not installed
 * takes no other down with it.
 *
 * @module
 */

/** The parameters by torchvision's names ("features.0.weight"), OIHW and [out, in]. */
export interface AlexNetWeights {
  get(name: string): Float32Array<ArrayBuffer>;
}

/** One forward pass: the answer, and how long the caller of that program would have waited. */
export interface Timed {
  /** [batch, 1000] */
  readonly logits: Float32Array;
  /**
   * From an input in the layout the program prefers, in ordinary memory, to logits in ordinary
   * memory. Laying the input out is not in it, and neither is the pipe to another process.
   */
  readonly ms: number;
}

/** A program holding AlexNet, ready to run. */
export interface Peer {
  /** As in the bench's list. */
  readonly name: string;
  readonly version: string;
  /** How many threads it really uses, which can be fewer than it was offered. */
  readonly threads: number;
  /** `x` is [batch, 3, 224, 224] and belongs to the caller: it must come back unchanged. */
  forward(x: Float32Array<ArrayBuffer>, batch: number): Promise<Timed>;
  dispose(): void | Promise<void>;
}

export interface PeerOptions {
  /** How many threads it may use. */
  readonly threads: number;
}

/** Loads the program and the weights. Rejects with the reason where the program cannot run. */
export type PeerFactory = (weights: AlexNetWeights, options: PeerOptions) => Promise<Peer>;
