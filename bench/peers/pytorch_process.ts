/**
 * A Python with PyTorch at the other end of two pipes: /usr/bin/python3, or what the environment
 * variable PYTHON names. See pytorch_server.py for the messages.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Values } from "./peer.ts";

/** Tensors by name, and functions of them; the clock runs in there. */
export class PyTorch {
  readonly #python: string;
  readonly #child: Deno.ChildProcess;
  readonly #complaints: Promise<string>;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #stdout: PipeReader;

  constructor() {
    this.#python = Deno.env.get("PYTHON") ?? "/usr/bin/python3";
    this.#child = new Deno.Command(this.#python, {
      args: [fileURLToPath(new URL("pytorch_server.py", import.meta.url))],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#complaints = new Response(this.#child.stderr).text();
    this.#stdin = this.#child.stdin.getWriter();
    this.#stdout = new PipeReader(this.#child.stdout);
  }

  /** Calls a function of the server by name. Returns what it says. */
  // deno-lint-ignore no-explicit-any -- JSON
  call(command: string, options: Record<string, unknown> = {}): Promise<any> {
    return this.#orLastWords(async () => {
      await this.#send({ command, ...options });
      return JSON.parse(await this.#stdout.line());
    });
  }

  /** Puts a tensor there. */
  tensor(name: string, shape: readonly number[], values: Values): Promise<void> {
    return this.#orLastWords(async () => {
      await this.#send({ command: "tensor", name, shape });
      await this.#stdin.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    });
  }

  /** Reads the result of the last function that made a tensor. */
  async result(): Promise<Float32Array> {
    const { bytes } = await this.call("read");
    return this.#orLastWords(async () => new Float32Array(await this.#stdout.bytes(bytes)));
  }

  async dispose(): Promise<void> {
    await this.#stdin.close().catch(() => {});
    await this.#stdout.close();
    await this.#child.status;
  }

  #send(message: unknown): Promise<void> {
    return this.#stdin.write(new TextEncoder().encode(JSON.stringify(message) + "\n"));
  }

  /** Both directions fail alike when Python is gone, and only its last words say why. */
  async #orLastWords<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#stdin.abort().catch(() => {});
      const last = (await this.#complaints).trim().split("\n").at(-1);
      throw new Error(last ? `${this.#python}: ${last}` : `${this.#python}: ${error}`);
    }
  }
}

/** Takes a pipe apart into lines and runs of bytes, however it was cut. */
class PipeReader {
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #left: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;

  constructor(pipe: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = pipe.getReader();
  }

  async line(): Promise<string> {
    const newline = "\n".charCodeAt(0);
    while (!this.#left.some((piece) => piece.includes(newline))) await this.#more();
    const all = this.#joined();
    return new TextDecoder().decode(await this.bytes(all.indexOf(newline) + 1));
  }

  async bytes(count: number): Promise<ArrayBuffer> {
    while (this.#size < count) await this.#more();
    const all = this.#joined();
    this.#left = [all.subarray(count)];
    this.#size -= count;
    return all.slice(0, count).buffer;
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#reader.read();
    if (done) throw new Error("ended without an answer");
    this.#left.push(value);
    this.#size += value.length;
  }

  /** The pieces that were read as one. */
  #joined(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#size);
    let at = 0;
    for (const piece of this.#left) {
      all.set(piece, at);
      at += piece.length;
    }
    this.#left = [all];
    return all;
  }
}
