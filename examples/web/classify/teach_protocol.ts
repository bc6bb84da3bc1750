/** The calls of "Teach it". */

import type { NetworkSource } from "./page_calls.ts";
import type { Photo, Pixels } from "./protocol.ts";

/** See {@linkcode Calls}. */
export type TeachCalls = {
  /** Says which network to start from. */
  teachFrom: { takes: BaseSource; reports: never; returns: void };
  /** Loads the code for the other calls: then they work offline, too. */
  teachPrepare: { takes: undefined; reports: never; returns: void };
  /** Keeps a photo for teaching, until it is forgotten as often. */
  teachKeep: { takes: Photo; reports: never; returns: KeptPhoto };
  /** Forgets photos, by their keys. */
  teachForget: { takes: readonly string[]; reports: never; returns: void };
  /** Learns classes. */
  teachLearn: { takes: readonly ClassToLearn[]; reports: TeachReport; returns: Learned };
  /** Classifies a photo with the network in use. */
  teachTry: { takes: Photo; reports: never; returns: readonly Guess[] };
};

/** A network to start from. */
export interface BaseSource extends NetworkSource {
  /** The same each time that the page names this network, unlike the copy that the worker gets. */
  readonly id: number;
}

/** A photo that the worker keeps. */
export interface KeptPhoto {
  /** Identifies its content. */
  readonly key: string;
  /** The square in its middle. */
  readonly thumbnail: Pixels;
}

/** A class, and the keys of its photos in the order in which they were added. */
export interface ClassToLearn {
  readonly name: string;
  readonly photos: readonly string[];
}

/** How far learning is. */
export type TeachReport =
  | {
    /** Passing photos through the network, then choosing how much to shrink the weights. */
    readonly phase: "photos" | "choosing";
    readonly done: number;
    readonly total: number;
  }
  | { readonly phase: "step"; readonly step: Step };

/** The new layer after a step of training. */
export interface Step {
  /** The number of steps so far, from 0. */
  readonly step: number;
  readonly steps: number;
  /** Measured on the photos that it is trained on. */
  readonly training: Measure;
  /** Measured on photos that were held out. Undefined if there are too few. */
  readonly validation?: Measure;
}

/** The mean cross-entropy, and the share of photos that are classified correctly. */
export interface Measure {
  readonly loss: number;
  readonly accuracy: number;
}

/** What was learned. */
export interface Learned {
  /** A safetensors file with the whole network. */
  readonly file: Blob;
  readonly milliseconds: number;
  /** Measured on photos that were held out. Undefined if there are too few. */
  readonly measured?: {
    /** The 95 % interval of the accuracy. */
    readonly interval: readonly [low: number, high: number];
    /** The numbers of photos by class, in rows, and by what they were taken for, in columns. */
    readonly confusion: readonly (readonly number[])[];
  };
}

/** A class, and its probability for a photo. */
export interface Guess {
  readonly label: string;
  readonly probability: number;
}
