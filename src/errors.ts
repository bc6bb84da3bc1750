/**
 * The errors that this library throws on purpose. Every message is one line that says what is wrong
 * and how to fix it, so a command can print it as is.
 *
 * @module
 */

import { kindOf } from "./kinds.ts";

/**
 * The base class of all errors thrown on purpose. Errors from outside pass through: the reason of
 * an abort signal, and Deno's `NotCapable`. Any other error is a bug.
 */
export class PembrokeError extends Error {
  /** The class's name. */
  override name = "PembrokeError";
}

/**
 * An invalid argument. Thrown before any kernel runs, so no work is half done.
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
   * Creates an error for an argument.
   *
   * @param op The public name of the function.
   * @param parameter The name of the parameter.
   * @param value The value that was passed.
   * @param expected What is allowed, as the words after "must be".
   * @param found What is wrong with the value, as the words after "is". Default: the value.
   */
  constructor(
    readonly op: string,
    readonly parameter: string,
    readonly value: unknown,
    readonly expected: string,
    readonly found: string = format(value),
  ) {
    const hint = kindOf(value) === "Promise" ? "; await it first" : "";
    super(`${op}: ${parameter} is ${found}, must be ${expected}${hint}`);
  }
}

/**
 * A file, or bytes from elsewhere, that cannot be used: it is missing, damaged, malicious or made
 * for another model.
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
   * Creates an error for a file.
   *
   * @param file The path, URL or other name that the user knows.
   * @param reason What is wrong with the file.
   */
  constructor(readonly file: string, readonly reason: string, options?: ErrorOptions) {
    super(`${file}: ${reason}`, options);
  }
}

/**
 * A file that exceeds a size limit, in pixels or in bytes. It is not necessarily damaged.
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
 * An image whose codec cannot be loaded. The image itself may be good.
 *
 * @internal
 */
export class CodecError extends FileError {
  /** The class's name. */
  override name = "CodecError";
}

/** The errors about a file, by name: what a worker sends instead of the class. */
const fileErrors = { FileError, TooLargeError, CodecError };

/** A {@linkcode FileError} as a message to another thread. */
export interface FileErrorMessage {
  readonly file: string;
  readonly reason: string;
  readonly type: keyof typeof fileErrors;
}

/** Converts an error to a message for another thread. */
export function toMessage(error: FileError): FileErrorMessage {
  const { file, reason, name } = error;
  return {
    file,
    reason,
    type: name in fileErrors ? name as FileErrorMessage["type"] : "FileError",
  };
}

/** Converts a message from another thread back to the error. */
export function fromMessage({ file, reason, type }: FileErrorMessage): FileError {
  return new fileErrors[type](file, reason);
}

/**
 * A GPU that was lost or failed to run an operation. The next call on the backend throws it, at the
 * latest the one that reads a result. The backend and its tensors can no longer be used: create a
 * new backend with `device: "wasm"`, load the weights again, and repeat whatever was not read yet.
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
   * Creates an error for a lost device.
   *
   * @param reason What the device reported.
   */
  constructor(readonly reason: string, options?: ErrorOptions) {
    super(`webgpu: ${reason}`, options);
  }
}

/** Formats a value for an error message: short and on one line. */
function format(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(shorten(value));
  if (typeof value === "function") {
    return value.name === "" ? "a function" : `the function ${shorten(value.name)}`;
  }
  if (Array.isArray(value)) {
    const first = value.slice(0, maxItems).map(format);
    return `[${[...first, ...value.length > maxItems ? ["…"] : []].join(", ")}]`;
  }
  if (kindOf(value) === "URL") return shorten(String(value));
  // An object's own toString() may return anything, even a million numbers.
  return typeof value === "object" && value !== null
    ? `[object ${className(value)}]`
    : String(value);
}

/** The name of an object's class, such as "Tensor" or "Uint8Array". */
function className(value: object): string {
  const kind = kindOf(value);
  if (kind !== "Object") return kind;
  const { name } = Object.getPrototypeOf(value)?.constructor ?? {};
  return typeof name === "string" && name !== "" ? shorten(name) : kind;
}

/** The number of list items in a message: no shape has more. */
const maxItems = 8;

/** Shortens text, which may be a whole file. */
function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
