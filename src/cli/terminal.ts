/**
 * Prints results to standard output, and everything else to standard error. Colours are for terminals
 * only, unless --no-color or NO_COLOR turns them off.
 */

// @ts-types="./std.d.ts"
import { dim, red, stripAnsiCode, yellow } from "npm:deno-std@1.4.0/fmt/colors.js";

import { redactUrls } from "../io/redact.ts";

const plain = Deno.noColor || Deno.args.includes("--no-color");

/** Whether pictures can be printed: on a terminal with colours. */
export function hasPictures(): boolean {
  return !plain && Deno.stdout.isTerminal();
}

/** Prints a result. */
export function print(text: string): void {
  write(Deno.stdout, text);
}

/** Prints a note. */
export function note(text: string): void {
  write(Deno.stderr, dim(printable(text)));
}

/** Prints a warning. */
export function warn(text: string): void {
  write(Deno.stderr, `${yellow("warning:")} ${printable(text)}`);
}

/** Prints an error. */
export function complain(text: string): void {
  write(Deno.stderr, `${red("error:")} ${printable(text)}`);
}

/** Escapes control characters, so that file names cannot control the terminal. */
export function printable(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

function write(stream: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  const safe = redactUrls(text);
  const line = plain || !stream.isTerminal() ? stripAnsiCode(safe) : safe;
  let rest = new TextEncoder().encode(`${line}\n`);
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}
