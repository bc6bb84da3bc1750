/** The calls that the page makes, except those of "Teach it". */

import type { Photo } from "./protocol.ts";

/** Where a network computes. */
export type Device = "webgpu" | "threads" | "wasm";

/** How to explain a class. */
export type Method = "grad-cam" | "saliency";

/** A file of weights: a URL, or one that the reader opened. */
export interface NetworkSource {
  readonly name: string;
  readonly weights: string | Blob;
  /** The other files of weights that consist of several, by name. */
  readonly files?: Readonly<Record<string, Blob>>;
  /** The weights of the other layers, for a file of a last layer. */
  readonly base?: string | Blob;
}

/** What is known of the network in use. */
export interface NetworkFacts {
  /** The kind of network, such as "resnet-tiny". */
  readonly type: string;
  readonly classes: readonly string[];
  /** The name of the backend. */
  readonly backend: string;
  readonly threads: number;
}

/** A class with its probability. */
export interface Score {
  readonly index: number;
  readonly label: string;
  readonly probability: number;
}

/** A part of the photo, in shares of its width and height. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** What is special about devices. */
export interface DeviceLimits {
  /** Why devices cannot be used. Those without a reason can. */
  readonly reasons: Readonly<Partial<Record<Device, string>>>;
  /** Whether WebGPU computes on the processor, slowly. */
  readonly hasSoftwareGpu: boolean;
}

/** See {@linkcode Calls}. */
export type PageCalls = {
  /** Puts a network to use. Reports the share that is loaded. */
  network: {
    takes: { readonly source: NetworkSource; readonly device: Device };
    reports: number;
    returns: NetworkFacts;
  };
  /** Decodes a photo, and keeps it. Returns a picture to show. */
  photo: { takes: Photo; reports: never; returns: { readonly picture: ImageBitmap } };
  /** Finds the most probable classes of the photo. */
  classify: { takes: undefined; reports: never; returns: readonly Score[] };
  /** Draws where the network found a class, and tells which part of the photo it sees. */
  explain: {
    takes: { readonly index: number; readonly method: Method };
    reports: never;
    returns: { readonly picture: ImageBitmap; readonly region: Region };
  };
  /** Measures milliseconds for a photo on a device. */
  time: { takes: Device; reports: never; returns: number };
  /** What is special about devices. Takes whether the page has a service worker. */
  devices: { takes: boolean; reports: never; returns: DeviceLimits };
  /** Loads what only later visits may need, because they may have no network. */
  loadForLater: { takes: undefined; reports: never; returns: void };
};
