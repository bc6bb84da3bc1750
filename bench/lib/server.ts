/** Servers in processes of their own, for tests that speak HTTP with them. */

import { assert } from "../../tests/assert.ts";

/** A server that listens on loopback until it is disposed of. */
export class Server implements AsyncDisposable {
  private constructor(
    readonly process: Deno.ChildProcess,
    readonly port: number,
    /** What it has printed, as it grows. */
    readonly printed: { text: string },
    readonly ended: Promise<unknown>,
  ) {}

  /**
   * Starts a program and waits until it prints its port.
   *
   * @param port What it prints then; the first group is the port.
   */
  static async start(
    command: string,
    args: readonly string[],
    port: RegExp,
    options: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
  ): Promise<Server> {
    const process = new Deno.Command(command, {
      ...options,
      args: [...args],
      env: { NO_COLOR: "1", ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const printed = { text: "" };
    const found = Promise.withResolvers<number>();
    const streams = [process.stdout, process.stderr].map(async (stream) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        printed.text += text;
        const match = port.exec(printed.text);
        if (match) found.resolve(Number(match[1]));
      }
    });
    const ended = Promise.all(streams).then(() =>
      found.reject(new Error(`it ended and said: ${printed.text}`))
    );
    const timer = setTimeout(() => found.reject(new Error(`no port in: ${printed.text}`)), 60_000);
    try {
      return new Server(process, await found.promise, printed, ended);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a request. */
  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, init);
  }

  /**
   * Sends a request's head and then pieces of a body until there is an answer.
   *
   * @param piece What is sent again and again; nothing without it.
   * @returns The answer's first line, and how many bytes of the body were sent.
   */
  async flood(
    head: readonly string[],
    piece?: Uint8Array,
  ): Promise<{ line: string; sent: number }> {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    const text = ["POST / HTTP/1.1", "Host: x", ...head, "", ""].join("\r\n");
    await connection.write(new TextEncoder().encode(text));
    let answer: string | undefined, sent = 0;
    const reading = (async () => {
      const buffer = new Uint8Array(1000);
      const count = await connection.read(buffer);
      answer = new TextDecoder().decode(buffer.subarray(0, count ?? 0));
    })();
    while (piece && answer === undefined && sent < 64 * 2 ** 20) {
      try {
        sent += await connection.write(piece);
      } catch {
        break; // closed at the other end; what was said before can be read
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await reading;
    assert(answer !== undefined && answer !== "", "the connection was closed without an answer");
    return { line: answer.split("\r\n")[0], sent };
  }

  /** Bytes of memory that it has taken at most, its program's own pages left out; on Linux. */
  async peakBytes(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.process.pid}/status`);
    const kB = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]);
    return (kB("VmHWM") - kB("RssFile")) * 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.process.kill("SIGKILL");
    } catch {
      // it has ended by itself
    }
    await this.process.status;
    await this.ended.catch(() => {});
  }
}
