/** Numbers and errors as text. */

import { loadProblem } from "../problems.ts";
import { CallError } from "./client.ts";

/** A probability in percent. */
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

/** What went wrong, and what to do if the cause is the file. */
export function problemText(error: unknown, wayOut: string): string {
  const { message } = error as Error;
  const problem = loadProblem(message);
  if (problem) return problem;
  const isFile = error instanceof CallError && /^(File|TooLarge)Error$/.test(error.kind);
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  return isFile ? `${sentence} ${wayOut}` : sentence;
}
