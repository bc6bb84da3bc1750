/**
 * PyTorch, in a Python of its own: /usr/bin/python3, or what the environment variable PYTHON names.
 * The clock runs in there, around the forward pass alone.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { ALEXNET, CLASSES, IMAGE, PARAMETERS } from "./architecture.ts";
import type { PeerFactory } from "./peer.ts";

export const createPeer: PeerFactory = async (weights, { threads }) => {
  const python = Deno.env.get("PYTHON") ?? "/usr/bin/python3";
  const child = new Deno.Command(python, {
    args: [fileURLToPath(new URL("pytorch_server.py", import.meta.url))],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const complaints = new Response(child.stderr).text();
  const stdin = child.stdin.getWriter();
  const stdout = new PipeReader(child.stdout);

  /** Both directions fail alike when Python is gone, and only its last words say why. */
  const orLastWords = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      stdin.abort().catch(() => {});
      const last = (await complaints).trim().split("\n").at(-1);
      throw new Error(last ? `${python}: ${last}` : `${python}: ${error}`);
    }
  };

  const { version, threads: used } = await orLastWords(async () => {
    const setup = { threads, image: IMAGE, layers: ALEXNET, parameters: PARAMETERS };
    await stdin.write(new TextEncoder().encode(JSON.stringify(setup) + "\n"));
    for (const { name } of PARAMETERS) await stdin.write(asBytes(weights.get(name)));
    return JSON.parse(await stdout.line());
  });

  return {
    name: "pytorch",
    version,
    threads: used,
    forward: (x, batch) =>
      orLastWords(async () => {
        await stdin.write(asBytes(Uint32Array.of(batch)));
        await stdin.write(asBytes(x));
        const [ms] = new Float64Array(await stdout.bytes(8));
        return { ms, logits: new Float32Array(await stdout.bytes(4 * batch * CLASSES)) };
      }),
    async dispose() {
      await stdin.close().catch(() => {});
      await stdout.close();
      await child.status;
    },
  };
};

function asBytes(values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>) {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Takes a pipe apart into lines and runs of bytes, however it was cut. */
class PipeReader {
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #left = new Uint8Array(0);

  constructor(pipe: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = pipe.getReader();
  }

  async line(): Promise<string> {
    const newline = "\n".charCodeAt(0);
    while (!this.#left.includes(newline)) await this.#more();
    return new TextDecoder().decode(await this.bytes(this.#left.indexOf(newline) + 1));
  }

  async bytes(count: number): Promise<ArrayBuffer> {
    while (this.#left.length < count) await this.#more();
    const taken = this.#left.slice(0, count);
    this.#left = this.#left.subarray(count);
    return taken.buffer;
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#reader.read();
    if (done) throw new Error("ended without an answer");
    const joined = new Uint8Array(this.#left.length + value.length);
    joined.set(this.#left);
    joined.set(value, this.#left.length);
    this.#left = joined;
  }
}
