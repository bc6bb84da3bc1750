/**
 * Where lines go: results to standard output, everything else to standard error. Colours reach
 * terminals only, and none with --no-color or NO_COLOR.
 */

// @ts-types="./std.d.ts"
import { dim, red, stripAnsiCode, yellow } from "npm:deno-std@1.4.0/fmt/colors.js";

const plain = Deno.noColor || Deno.args.includes("--no-color");

/** Prints a result. */
export function print(text: string): void {
  write(Deno.stdout, text);
}

/** Says something by the way. */
export function note(text: string): void {
  write(Deno.stderr, dim(printable(text)));
}

/** Says what is doubtful. */
export function warn(text: string): void {
  write(Deno.stderr, `${yellow("warning:")} ${printable(text)}`);
}

/** Says what went wrong. */
export function complain(text: string): void {
  write(Deno.stderr, `${red("error:")} ${printable(text)}`);
}

/** Text with every control character escaped: a file's name must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

function write(stream: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  const line = plain || !stream.isTerminal() ? stripAnsiCode(text) : text;
  let rest = new TextEncoder().encode(`${line}\n`);
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}
