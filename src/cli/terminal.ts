/**
 * Prints results to standard output, and everything else to standard error. Colours are for terminals
 * only, unless --no-color or NO_COLOR turns them off, or the terminal has none.
 */

import { redactUrls } from "../io/redact.ts";
import { dim, red, withoutStyles, yellow } from "./colors.ts";
import { asWriteError, envIfGranted } from "./errors.ts";

/** Whether the terminal shows control codes as text, as the terminals of some editors do. */
export const isDumb = envIfGranted("TERM") === "dumb";

const plain = Deno.noColor || Deno.args.includes("--no-color") || isDumb;

/** Whether pictures can be printed: on a terminal with colours. */
export function hasPictures(): boolean {
  return !plain && Deno.stdout.isTerminal();
}

/** The columns of the terminal. 80 if it does not tell, or is closed. */
export function columnsOfTerminal(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}

/** The columns for results. Infinity if they do not go to a terminal. */
export function columnsForResults(): number {
  return Deno.stdout.isTerminal() ? columnsOfTerminal() : Infinity;
}

/** The scripts whose letters joiners and variation selectors change. */
const shapedScripts =
  "Arab Syrc Nkoo Adlm Mong Deva Beng Guru Gujr Orya Taml Telu Knda Mlym Sinh " +
  "Khmr Mymr Tibt Java Bali";

/** What joiners and variation selectors may follow: those letters, ideographs and emoji. */
const shaped = `[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\p{Ideographic}${
  shapedScripts.split(" ").map((script) => `\\p{Script_Extensions=${script}}`).join("")
}]`;

/** The flags of England, Scotland and Wales, which end with characters that cannot be seen. */
const taggedFlags = ["gbeng", "gbsct", "gbwls"].map((region) =>
  `\u{1f3f4}${
    region.replace(/./g, (c) => String.fromCodePoint(0xe0000 + c.charCodeAt(0)))
  }\u{e007f}`
);

/** The parts of text that are left as they are: flags, and joiners and selectors that change a shape. */
const visible = [
  ...taggedFlags,
  `(?<=${shaped})(?:\\p{Variation_Selector}?[\\u200c\\u200d]|\\p{Variation_Selector})`,
  "(?<=[\\d#*])\\ufe0f(?=\\u20e3)", // keycaps
].join("|");

/**
 * Those parts, separators of lines, and characters that cannot be seen, such as those that reorder the rest
 * of a line. Undefined until a text may need it.
 */
let hidden: RegExp | undefined;

/**
 * Prints a result. Characters that {@linkcode printable} escapes and JSON does not are escaped here,
 * because a terminal would obey them. A JSON reader still gets the same names.
 */
export function print(text: string): void {
  try {
    write(Deno.stdout, escapeHidden(text.replace(/[\x7f-\x9f]/g, escapeUnicode)));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw error;
    throw asWriteError("standard output", error);
  }
}

/** Prints a result. If the reader has closed the pipe, the command goes on, to write its files. */
export function printIfRead(text: string): void {
  try {
    print(text);
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** Prints a note. */
export function note(text: string): void {
  tell(dim(printable(text)));
}

/** The formats of images, in messages. */
export const imageFormats = "JPEG, PNG, WebP, GIF, BMP";

/** Prints how many files of folders were not read, if there are any. */
export function noteSkipped(count: number): void {
  if (count === 0) return;
  note(`skipped ${plural(count, "file")} without the extension of an image (${imageFormats})`);
}

/** Prints a warning. */
export function warn(text: string): void {
  tell(`${yellow("warning:")} ${printable(text)}`);
}

/** Prints an error. */
export function printError(text: string): void {
  tell(`${red("error:")} ${printable(text)}`);
}

/** "1 photo", "2 photos" */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Escapes control characters, so that file names cannot control the terminal, and characters that
 * cannot be seen, so that different names look different.
 */
export function printable(text: string): string {
  return escapeHidden(text.replace(/\p{Cc}/gu, escapeControl));
}

/** Escapes control characters and separators of lines, so that text is one line. */
export function escapeControls(text: string): string {
  return text.replace(/\p{Cc}/gu, escapeControl).replace(/[\p{Zl}\p{Zp}]/gu, escapeUnicode);
}

/** Escapes characters that are {@linkcode hidden}. ASCII has none, and needs no slow expression. */
function escapeHidden(text: string): string {
  if (!/\P{ASCII}/u.test(text)) return text;
  hidden ??= new RegExp(
    `(${visible})|[\\p{Zl}\\p{Zp}\\ufff9-\\ufffb]|\\p{Default_Ignorable_Code_Point}`,
    "gu",
  );
  return text.replace(hidden, (char, visible?: string) => visible ?? escapeUnicode(char));
}

function escapeControl(char: string): string {
  return `\\x${hex(char, 2)}`;
}

/** Escapes a character as JSON does: one beyond U+FFFF has two codes. */
function escapeUnicode(char: string): string {
  return char.split("").map((half) => `\\u${hex(half, 4)}`).join("");
}

/** The code of a character. */
function hex(char: string, digits: number): string {
  return char.charCodeAt(0).toString(16).padStart(digits, "0");
}

/** Prints to standard error. */
function tell(text: string): void {
  attempt(() => write(Deno.stderr, text));
}

/** Writes to standard error. Ignores failures, so that a closed pipe or a full disk ends no command. */
export function attempt(write: () => void): void {
  try {
    write();
  } catch {
    // there is nowhere to report it
  }
}

function write(stream: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  const safe = redactUrls(text);
  const line = plain || !stream.isTerminal() ? withoutStyles(safe) : safe;
  writeAll(stream, `${line}\n`);
}

/** Writes text. If another program made the pipe or terminal non-blocking, it waits for the reader. */
export function writeAll(stream: Pick<typeof Deno.stdout, "writeSync">, text: string): void {
  for (let rest = new TextEncoder().encode(text); rest.length > 0;) {
    try {
      rest = rest.subarray(stream.writeSync(rest));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
