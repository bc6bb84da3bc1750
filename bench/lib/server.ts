/**
 * Starts HTTP servers in child processes, for tests and benchmarks.
 *
 * @module
 */

/** Options of {@linkcode Server.start}. */
export interface ServerOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** Milliseconds to wait for the port. Default: 60,000. */
  readonly startMs?: number;
}

/** A server on loopback, killed on disposal. */
export class Server implements AsyncDisposable {
  private constructor(
    readonly process: Deno.ChildProcess,
    readonly port: number,
    /** The output so far, of both streams. */
    readonly output: { text: string },
    readonly closed: Promise<unknown>,
  ) {}

  /**
   * Starts a program, and waits until it prints its port.
   *
   * @param port Matches the output; the first group is the port.
   * @throws {Error} When the program exits first, or takes too long. It does not run any more then.
   */
  static async start(
    command: string,
    args: readonly string[],
    port: RegExp,
    { cwd, env, startMs = 60_000 }: ServerOptions = {},
  ): Promise<Server> {
    const process = new Deno.Command(command, {
      cwd,
      args: [...args],
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = { text: "" };
    const listening = Promise.withResolvers<number>();
    const streams = [process.stdout, process.stderr].map(async (stream) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        output.text += text;
        const match = port.exec(output.text);
        if (match) listening.resolve(Number(match[1]));
      }
    });
    const closed = Promise.all(streams).then(() =>
      listening.reject(new Error(`the server exited: ${output.text}`))
    );
    const timer = setTimeout(
      () => listening.reject(new Error(`no port in: ${output.text}`)),
      startMs,
    );
    try {
      return new Server(process, await listening.promise, output, closed);
    } catch (error) {
      await stop(process);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a request. */
  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, init);
  }

  /**
   * Sends the headers of a request, then chunks of a body until a response arrives.
   *
   * @param chunk Sent repeatedly; without it, only the headers are sent.
   * @returns The status line of the response, and the number of body bytes sent.
   */
  async flood(
    head: readonly string[],
    chunk?: Uint8Array,
  ): Promise<{ line: string; sent: number }> {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    const text = ["POST / HTTP/1.1", "Host: x", ...head, "", ""].join("\r\n");
    await connection.write(new TextEncoder().encode(text));
    let response: string | undefined, sent = 0;
    const reading = (async () => {
      const buffer = new Uint8Array(1000);
      const count = await connection.read(buffer);
      response = new TextDecoder().decode(buffer.subarray(0, count ?? 0));
    })();
    while (chunk && response === undefined && sent < 64 * 2 ** 20) {
      try {
        // a full connection takes a part of a chunk; the rest must follow
        sent += await connection.write(chunk.subarray(sent % chunk.length));
      } catch {
        break; // closed by the server; its response can still be read
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await reading;
    if (!response) throw new Error("connection closed without a response");
    return { line: response.split("\r\n")[0], sent };
  }

  /** The peak memory of the process in bytes, without file-backed pages; on Linux only. */
  async peakBytes(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.process.pid}/status`);
    const kB = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]);
    return (kB("VmHWM") - kB("RssFile")) * 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.process);
    await this.closed.catch(() => {});
  }
}

async function stop(process: Deno.ChildProcess): Promise<void> {
  try {
    process.kill("SIGKILL");
  } catch {
    // already exited
  }
  await process.status;
}
