/**
 * The interface of the programs in the benchmark. Each has an adapter in this folder, which imports
 * the program only when it starts. So a program that is not installed does not affect the others.
 *
 * @module
 */

import type { Convolution } from "./architecture.ts";

/** The values of a tensor. */
export type Values = Float32Array<ArrayBuffer>;

/** A running program. */
export interface Peer {
  /** The name in results. */
  readonly name: string;
  /** The variant, if the program has several. */
  readonly variant?: string;
  readonly version: string;
  /** The number of threads that it really uses, which may be fewer than it was offered. */
  readonly threads: number;
  /** Whether it takes seconds where others take milliseconds. Then it is timed once. */
  readonly slow?: boolean;
  /** The allowed error of its outputs. Default: enough for rounding. */
  readonly tolerance?: number;
  dispose(): void | Promise<void>;
}

/** A piece of work that can run any number of times. */
export interface Work {
  /** Runs once. Returns milliseconds. */
  run(): Promise<number>;
  /** The result of the last run in PyTorch's layout, for comparison. Never timed. */
  output(): Promise<Float32Array>;
  /** Frees operands and results. Peers without it free them in their own dispose(). */
  dispose?(): void;
}

/** Options for starting a program. */
export interface PeerOptions {
  /** The number of threads that it may use. */
  readonly threads: number;
}

/** A program that runs a network. */
export interface NetworkPeer extends Peer {
  /**
   * A forward pass of `x`, [batch, 3, H, W], to logits. Timed from an input in ordinary memory, in the
   * program's preferred layout, to logits in ordinary memory. The time does not include the conversion
   * of the layout, or the pipe to another process.
   */
  forward(x: Values, batch: number): Work | Promise<Work>;
}

/** The forward pass of a convolution, or one of its gradients: of the input (dx) or weights (dw). */
export type Pass = "forward" | "dx" | "dw";

/** A convolution without bias, and its operands. */
export interface ConvProblem {
  readonly layer: Convolution;
  /** [N, C, H, W] */
  readonly xShape: readonly [number, number, number, number];
  /** [O, I, kH, kW] */
  readonly weightShape: readonly [number, number, number, number];
  /** [N, O, oH, oW] */
  readonly yShape: readonly [number, number, number, number];
  readonly x: Values;
  readonly weight: Values;
  /** The gradient of the output. */
  readonly dy: Values;
}

/** A program that computes convolutions. */
export interface ConvPeer extends Peer {
  /**
   * One pass. Operands are in the program's preferred layout and, if possible, in its own memory,
   * where the result stays too. Returns undefined if this variant is the same as the main one. Throws
   * if the program does not support the pass.
   */
  convolve(pass: Pass, problem: ConvProblem): Work | undefined | Promise<Work>;
}

/** Settings of stochastic gradient descent. */
export interface TrainingOptions {
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
}

/** A program that trains a network. */
export interface TrainingPeer extends Peer {
  /**
   * Training steps on one batch, without dropout: forward, cross-entropy, backward and update. Timed
   * from images in ordinary memory to the loss. The first step starts with the peer's initial weights,
   * and each later one with the result of the step before.
   */
  steps(x: Values, targets: readonly number[], options: TrainingOptions): Work | Promise<Work>;
}
