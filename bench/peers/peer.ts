/**
 * What the bench asks of every program that it times: one adapter per program beside this file, each
 * importing its program only when it is started, so that one that is not installed takes no other
 * down with it.
 *
 * @module
 */

import type { Convolution } from "./architecture.ts";

/** A list of numbers as programs take them. */
export type Values = Float32Array<ArrayBuffer>;

/** A program that runs. */
export interface Peer {
  /** As in the bench's lists. */
  readonly name: string;
  /** Which of several ways it goes, where it has more than one. */
  readonly variant?: string;
  readonly version: string;
  /** How many threads it really uses, which can be fewer than it was offered. */
  readonly threads: number;
  /** Takes seconds where the others take milliseconds: timed once. */
  readonly slow?: boolean;
  /** How far its answers may be from the others', if that is not what rounding allows. */
  readonly tolerance?: number;
  dispose(): void | Promise<void>;
}

/** What a peer was asked to do, as often as it is asked. */
export interface Work {
  /** Does it once. Returns milliseconds. */
  run(): Promise<number>;
  /** What the last run gave, in PyTorch's layout: to be compared, never timed. */
  answer(): Promise<Float32Array>;
  /** Gives operands and results back; most peers wait for their own end with that. */
  dispose?(): void;
}

/** How a program may run. */
export interface PeerOptions {
  /** How many threads it may use. */
  readonly threads: number;
}

/** The parameters by torchvision's names ("features.0.weight"), OIHW and [out, in]. */
export interface AlexNetWeights {
  get(name: string): Values;
}

/** A program holding AlexNet. */
export interface AlexNetPeer extends Peer {
  /**
   * A forward pass of `x`, [batch, 3, 224, 224], to logits. Timed from an input in the layout the
   * program prefers, in ordinary memory, to logits in ordinary memory. Laying the input out is not in
   * it, and neither is the pipe to another process.
   */
  forward(x: Values, batch: number): Work | Promise<Work>;
}

/** A convolution, and the two gradients that its backward pass needs. */
export type Pass = "forward" | "dx" | "dw";

/** A convolution of given numbers, without a bias. */
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

/** A program that convolves. */
export interface ConvPeer extends Peer {
  /**
   * One pass, with its operands laid out as the program prefers and, where it allows that, in its own
   * memory, where the result stays too. Undefined where a variant is no other than the main one.
   * Throws the reason where the program has no such pass.
   */
  convolve(pass: Pass, problem: ConvProblem): Work | undefined | Promise<Work>;
}

/** The numbers of stochastic gradient descent. */
export interface TrainingOptions {
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
}

/** A program that trains AlexNet. */
export interface TrainingPeer extends Peer {
  /**
   * Steps on one batch: forward, cross-entropy, backward, update; no dropout. Timed from images in
   * ordinary memory to the loss. The first starts from the weights that the peer was made with, each
   * other from what the one before has learned.
   */
  steps(x: Values, targets: readonly number[], options: TrainingOptions): Work | Promise<Work>;
}
