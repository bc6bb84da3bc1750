/** What an error becomes on the command line: one line, and how the command exits. */

import { FileError, PembrokeError } from "../errors.ts";

/** The command was called wrongly. */
export class UsageError extends PembrokeError {
  override name = "UsageError";
}

/** Deno was started without a permission that is needed. */
export function isPermissionError(error: unknown): error is Deno.errors.NotCapable {
  return error instanceof Deno.errors.NotCapable;
}

/** The system said no: it is no mistake of this program. */
export function isSystemError(error: unknown): boolean {
  // a DOMException has a code too: somebody ended it
  return error instanceof Error && "code" in error && !(error instanceof DOMException);
}

/** An error about a file that names it; a missing permission stays what it is. */
export function asFileError(name: string, error: unknown): Error {
  if (isPermissionError(error) || error instanceof PembrokeError) return error;
  return new FileError(name, reasonOf(error), { cause: error });
}

/** The same of a file that was to be written. */
export function asWriteError(name: string, error: unknown): Error {
  const missing = error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotADirectory;
  if (missing) return new FileError(name, "its folder does not exist", { cause: error });
  if (!(error instanceof Deno.errors.PermissionDenied)) return asFileError(name, error);
  return new FileError(name, "not writable (file permissions)", { cause: error });
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  if (error instanceof Deno.errors.NotADirectory) return "no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "not readable (file permissions)";
  if (error instanceof Deno.errors.IsADirectory) return "is a folder";
  return oneLine(error instanceof Error ? error.message : String(error));
}

/**
 * The one line that says what went wrong. An error that nobody foresaw is a mistake in this program
 * and tells its place.
 */
export function lineOf(error: unknown): string {
  if (!(error instanceof Error)) return `unexpected ${error}; please report this`;
  if (error instanceof PembrokeError) return error.message;
  const message = oneLine(error.message);
  if (isSystemError(error)) return message;
  const place = /^ +(at .+)$/m.exec(error.stack ?? "")?.[1] ?? "at an unknown place";
  return `unexpected ${error.name}: ${message} (${place}); please report this`;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}
