/**
 * The errors this library throws on purpose. Every message is one line that names what is wrong
 * and what would be right, so that a command may print it as it is.
 *
 * @module
 */

import { kindOf } from "./kinds.ts";

/** Base of every error thrown on purpose; anything else that escapes is a bug. */
export class PembrokeError extends Error {
  /** The class's name. */
  override name = "PembrokeError";
}

/**
 * A call with an argument it cannot take. Thrown before any kernel runs, so nothing is half-done.
 *
 * @example
 * ```ts
 * import { ArgumentError } from "./errors.ts";
 *
 * const error = new ArgumentError("conv2d", "stride", 0, "a positive integer");
 * console.log(error.message); // conv2d: stride is 0, must be a positive integer
 * ```
 */
export class ArgumentError extends PembrokeError {
  /** The class's name. */
  override name = "ArgumentError";

  /**
   * Says which argument of which operation is wrong.
   *
   * @param op The operation that was called, by its public name.
   * @param parameter The parameter that is wrong.
   * @param got The value it was given.
   * @param takes What it takes, to follow "must be".
   */
  constructor(
    readonly op: string,
    readonly parameter: string,
    readonly got: unknown,
    readonly takes: string,
  ) {
    super(`${op}: ${parameter} is ${show(got)}, must be ${takes}`);
  }
}

/**
 * A file (or bytes from elsewhere) that cannot be used: missing, damaged, hostile, or not for this
 * model.
 *
 * @example
 * ```ts
 * import { FileError } from "./errors.ts";
 *
 * const error = new FileError("cat.jpg", "the JPEG ends before its last row");
 * console.log(error.message); // cat.jpg: the JPEG ends before its last row
 * ```
 */
export class FileError extends PembrokeError {
  /** The class's name. */
  override name = "FileError";

  /**
   * Says which file is of no use, and why.
   *
   * @param file The path, URL or other name the user knows it by.
   * @param reason What is wrong with it.
   */
  constructor(readonly file: string, readonly reason: string, options?: ErrorOptions) {
    super(`${file}: ${reason}`, options);
  }
}

/**
 * A file that is larger than whoever reads it allows: in pixels, or in bytes. It need not be damaged.
 *
 * @example
 * ```ts
 * import { TooLargeError } from "./errors.ts";
 *
 * const error = new TooLargeError("cat.jpg", "larger than 256 MiB");
 * console.log(error.message); // cat.jpg: larger than 256 MiB
 * ```
 */
export class TooLargeError extends FileError {
  /** The class's name. */
  override name = "TooLargeError";
}

/**
 * A GPU that is gone, or that failed at what it was asked to do. It is thrown by whatever comes next,
 * at the latest by reading a result. The backend and all tensors on it are of no use any more: make
 * another backend with `device: "wasm"`, load the weights again, and repeat what was not read yet.
 *
 * @example
 * ```ts
 * import { DeviceLostError } from "./errors.ts";
 *
 * const error = new DeviceLostError("the device was lost (out of memory)");
 * console.log(error.message); // webgpu: the device was lost (out of memory)
 * ```
 */
export class DeviceLostError extends PembrokeError {
  /** The class's name. */
  override name = "DeviceLostError";

  /**
   * Says what became of the device.
   *
   * @param reason What the device told.
   */
  constructor(readonly reason: string, options?: ErrorOptions) {
    super(`webgpu: ${reason}`, options);
  }
}

/** A value as an error message shows it: short, on one line. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(cut(value));
  if (typeof value === "function") return `the function ${cut(value.name)}`.trimEnd();
  if (Array.isArray(value)) {
    const first = value.slice(0, mostShown).map(show);
    return `[${[...first, ...value.length > mostShown ? ["…"] : []].join(", ")}]`;
  }
  if (kindOf(value) === "URL") return cut(String(value));
  // what an object says of itself may be anything, and a million numbers long
  return typeof value === "object" && value !== null ? `[object ${kindOf(value)}]` : String(value);
}

/** Elements of a list that are shown: no shape has more. */
const mostShown = 8;

/** Text that may be a whole file. */
function cut(text: string): string {
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
