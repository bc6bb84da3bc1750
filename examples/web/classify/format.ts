/** Numbers and errors as text. */

import { CallError } from "./client.ts";

/** A probability in percent, as the command prints it. */
export function percent(probability: number): string {
  return `${(probability * 100).toFixed(2)} %`;
}

/** Milliseconds, with as many digits as a measurement justifies. */
export function milliseconds(time: number): string {
  return `${time.toFixed(time < 9.95 ? 1 : 0)} ms`;
}

/** The size of a download. */
export function megabytes(bytes: number): string {
  return bytes < 1e5 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** What each browser says when a script or another file of the page cannot be loaded. */
const loadErrors =
  /^(Failed to fetch|NetworkError|Load failed|Importing a module|error loading dyn)/;

/** What went wrong, and what to do if the cause is the file. */
export function problemText(error: unknown, wayOut: string): string {
  const { message } = error as Error;
  if (loadErrors.test(message)) {
    // without a connection, or after an update of the site
    return "A part of the page cannot be loaded. Try again online, or load the page again.";
  }
  const isFile = error instanceof CallError && /^(File|TooLarge)Error$/.test(error.kind);
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  return isFile ? `${sentence} ${wayOut}` : sentence;
}
