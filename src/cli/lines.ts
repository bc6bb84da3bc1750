/** Splits text into lines. */

import { FileError } from "../errors.ts";

/** A line without its line break. */
export interface Line {
  readonly text: string;
  /** Whether it had a line break; the last line of a file may have none. */
  readonly terminated: boolean;
}

/** Maximum characters of a line, which may be a data URL. */
const maxLength = 2 ** 26;

/** The encoding of text, from its first bytes: UTF-8, or UTF-16 as PowerShell writes it to files. */
export function encodingOf([first, second]: Uint8Array): "utf-8" | "utf-16le" {
  return first === 0xff && second === 0xfe ? "utf-16le" : "utf-8";
}

/**
 * The lines of text as they arrive. Lines end with LF or CRLF.
 *
 * @param name The name of the file in errors.
 * @throws {FileError} When a line is too long: the bytes are no text, and would fill the memory.
 */
export async function* linesOf(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
  name: string,
): AsyncGenerator<Line> {
  let rest = "", start = new Uint8Array(), decoder: TextDecoder | undefined;
  for await (let chunk of bytes) {
    if (!decoder) {
      chunk = joined(start, chunk);
      if (chunk.length < 2) {
        start = chunk;
        continue;
      }
      decoder = new TextDecoder(encodingOf(chunk));
    }
    const text = decoder.decode(chunk, { stream: true });
    if (!text.includes("\n")) {
      rest += text;
      if (rest.length > maxLength) throw new FileError(name, "has a line that is too long");
      continue;
    }
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield { text: line.replace(/\r$/, ""), terminated: true };
  }
  rest += decoder ? decoder.decode() : new TextDecoder().decode(start);
  if (rest !== "") yield { text: rest, terminated: false };
}

/** Two pieces in one. */
function joined(a: Uint8Array<ArrayBuffer>, b: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (a.length === 0) return b;
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
