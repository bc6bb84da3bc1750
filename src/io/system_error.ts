/**
 * Errors of the operating system, as Deno throws them.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";

/** What Deno appends to the system's own words: the number of the error, and the call that failed. */
const appendix = /\.? \(os error \d+\).*/s;

/** The call that Deno appends to the one message that has no number. */
const callAfterNul = /(?<=unexpected NUL byte): .*/s;

/** Whether the operating system reported the error. If not, it may be a bug. */
export function isSystemError(error: unknown): boolean {
  // a DOMException has a code, too: an aborted operation
  if (!(error instanceof Error) || error instanceof DOMException) return false;
  if (error instanceof PembrokeError) return false; // its message may have that of another
  return "code" in error || appendix.test(error.message); // Deno knows no code for ENXIO and others
}

/** The reason in the message of an error, such as "no space left on device". */
export function systemReason(message: string): string {
  const words = message.replace(appendix, "").replace(callAfterNul, "");
  if (words === "" || words === message) return oneLine(message);
  return oneLine(words[0].toLowerCase() + words.slice(1));
}

/** The text on one line. */
export function oneLine(text: string): string {
  return text.replace(/(?<!\s)\s*\n\s*/g, " "); // the lookbehind tries each run of spaces only once
}
