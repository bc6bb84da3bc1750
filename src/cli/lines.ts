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

/**
 * The lines of UTF-8 text as they arrive. Lines end with LF or CRLF.
 *
 * @param name The name of the file in errors.
 * @throws {FileError} If a line is too long: the bytes are no text, and would fill the memory.
 */
export async function* linesOf(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
  name: string,
): AsyncGenerator<Line> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    if (!text.includes("\n")) {
      rest += text;
      if (rest.length > maxLength) throw new FileError(name, "has a line that is too long");
      continue;
    }
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield { text: line.replace(/\r$/, ""), terminated: true };
  }
  if (rest !== "") yield { text: rest, terminated: false };
}
