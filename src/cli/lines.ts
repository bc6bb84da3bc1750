/** Text, line by line. */

/** A line without its end. */
export interface Line {
  readonly text: string;
  /** Whether it ends as a line does; what a file's last one may not. */
  readonly whole: boolean;
}

/** The lines of a text in UTF-8, as they come; they end with a newline, or with CR and newline. */
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
    for (const line of lines) yield { text: line.replace(/\r$/, ""), whole: true };
  }
  if (rest !== "") yield { text: rest, whole: false };
}
