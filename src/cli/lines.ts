/** Splits text into lines. */

/** A line without its line break. */
export interface Line {
  readonly text: string;
  /** Whether it had a line break; the last line of a file may have none. */
  readonly terminated: boolean;
}

/** The lines of UTF-8 text as they arrive. Lines end with LF or CRLF. */
export async function* linesOf(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Line> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    if (!text.includes("\n")) {
      rest += text;
      continue;
    }
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield { text: line.replace(/\r$/, ""), terminated: true };
  }
  if (rest !== "") yield { text: rest, terminated: false };
}
