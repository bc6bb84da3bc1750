/**
 * What the page and its worker say to each other. The page makes calls; the worker computes them one at
 * a time, in order, and answers each by its id.
 */

/** Upright pixels, as an `ImageData` has them: red, green, blue and alpha. They are transferred. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** A photo: the bytes of an image file with its name, or pixels from the camera. */
export type Photo = { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> } | Pixels;

/** Calls by name: what each takes, what it reports while it works, and what it returns. */
export type Calls = Record<
  string,
  { readonly takes: unknown; readonly reports: unknown; readonly returns: unknown }
>;

/** From the page: a call, or the wish to cancel one. */
export type Request =
  | { readonly id: number; readonly call: string; readonly takes: unknown }
  | { readonly id: number; readonly cancel: true };

/** From the worker: the URLs of files that it has loaded, or an answer. */
export type Response = { readonly loaded: readonly string[] } | Answer;

/** A report or the end of a call. */
export type Answer =
  | { readonly id: number; readonly report: unknown }
  | { readonly id: number; readonly returned: unknown }
  | { readonly id: number; readonly error: string; readonly kind: string };

/** What the worker gives to the function that computes a call. */
export interface CallContext<C extends Calls[string]> {
  /** Tells the page how far it is. */
  report(report: C["reports"]): void;
  /** Aborted when the page no longer wants the result. It is only heard in {@linkcode pause}. */
  readonly signal: AbortSignal;
  /** Lets messages arrive. Throws the signal's reason if the page cancelled the call. */
  pause(): Promise<void>;
}

/**
 * The functions that compute calls, in the worker. Pixels and bitmaps that are properties of what they
 * return are transferred.
 */
export type Handlers<C extends Calls> = {
  readonly [K in keyof C]: (
    takes: C[K]["takes"],
    context: CallContext<C[K]>,
  ) => C[K]["returns"] | Promise<C[K]["returns"]>;
};
