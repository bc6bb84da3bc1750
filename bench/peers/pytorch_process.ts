/**
 * Runs PyTorch in a Python process and talks to it through pipes. The interpreter is /usr/bin/python3,
 * or the one in the environment variable PYTHON. See pytorch_server.py for the messages.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Values } from "./peer.ts";

/** A Python process that stores tensors by name, and times functions of them. */
export class PyTorch {
  readonly #python: string;
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Promise<string>;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #stdout: PipeReader;

  constructor(threads: number) {
    this.#python = Deno.env.get("PYTHON") ?? "/usr/bin/python3";
    this.#child = new Deno.Command(this.#python, {
      args: [fileURLToPath(new URL("pytorch_server.py", import.meta.url))],
      // PyTorch sets OpenMP's threads, but not OpenBLAS's.
      env: { OPENBLAS_NUM_THREADS: `${threads}`, OMP_NUM_THREADS: `${threads}` },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stderr = new Response(this.#child.stderr).text();
    this.#stdin = this.#child.stdin.getWriter();
    this.#stdout = new PipeReader(this.#child.stdout);
  }

  /** Calls a function of the server by name, and returns its reply. */
  // deno-lint-ignore no-explicit-any -- JSON
  call(command: string, options: Record<string, unknown> = {}): Promise<any> {
    return this.#withStderr(async () => {
      await this.#send({ command, ...options });
      return JSON.parse(await this.#stdout.line());
    });
  }

  /** Sends a tensor. */
  tensor(name: string, shape: readonly number[], values: Values): Promise<void> {
    return this.#withStderr(async () => {
      await this.#send({ command: "tensor", name, shape });
      await this.#stdin.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    });
  }

  /** Reads the result of the last timed function. */
  async result(): Promise<Float32Array> {
    const { bytes } = await this.call("read");
    return this.#withStderr(async () => new Float32Array(await this.#stdout.bytes(bytes)));
  }

  async dispose(): Promise<void> {
    await this.#stdin.close().catch(() => {});
    await this.#stdout.close();
    await this.#child.status;
  }

  #send(message: unknown): Promise<void> {
    return this.#stdin.write(new TextEncoder().encode(JSON.stringify(message) + "\n"));
  }

  /** If Python has crashed, both pipes fail. Only the last line of its stderr says why. */
  async #withStderr<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#stdin.abort().catch(() => {});
      const last = (await this.#stderr).trim().split("\n").at(-1);
      throw new Error(last ? `${this.#python}: ${last}` : `${this.#python}: ${error}`);
    }
  }
}

/** Reads lines and byte ranges from a pipe, whatever the size of its chunks. */
class PipeReader {
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #pending: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;

  constructor(pipe: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = pipe.getReader();
  }

  async line(): Promise<string> {
    const newline = "\n".charCodeAt(0);
    while (!this.#pending.some((piece) => piece.includes(newline))) await this.#more();
    const all = this.#joined();
    return new TextDecoder().decode(await this.bytes(all.indexOf(newline) + 1));
  }

  async bytes(count: number): Promise<ArrayBuffer> {
    while (this.#size < count) await this.#more();
    const all = this.#joined();
    this.#pending = [all.subarray(count)];
    this.#size -= count;
    return all.slice(0, count).buffer;
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#reader.read();
    if (done) throw new Error("ended without a reply");
    this.#pending.push(value);
    this.#size += value.length;
  }

  /** The pending pieces in one array. */
  #joined(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#size);
    let at = 0;
    for (const piece of this.#pending) {
      all.set(piece, at);
      at += piece.length;
    }
    this.#pending = [all];
    return all;
  }
}
