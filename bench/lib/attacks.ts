/** Hostile requests: files that are expensive to decode, and clients that misbehave. */

import { expensivePng, hostileFiles } from "./hostile_files.ts";
import type { Server } from "./server.ts";

/** Each sends one hostile request, and returns what became of it. */
export function attacksOn(server: Server): (() => Promise<string>)[] {
  const files = hostileFiles();
  const post = (name: string, body: Uint8Array<ArrayBuffer>) => async () => {
    const headers = { "content-type": "image/png" };
    const answer = await server.fetch("/", { method: "POST", body, headers });
    await answer.body?.cancel();
    return `${name}: ${answer.status}`;
  };
  const { port } = server;
  const head = (length: number) =>
    new TextEncoder().encode(
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: ${length}\r\n\r\n`,
    );
  const open = async (length: number) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(head(length));
    return connection;
  };
  /** Keeps a connection without waiting for it. */
  const linger = (connection: Deno.Conn, work: () => Promise<unknown>) => {
    void work().catch(() => {}).finally(() => connection.close());
  };
  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  return [
    ...Object.entries(files).map(([name, body]) => post(name, body)),
    async () => {
      const connection = await open(10_000_000);
      linger(connection, () => connection.read(new Uint8Array(1)));
      return "header without a body";
    },
    async () => {
      const connection = await open(10_000);
      let answered = false;
      connection.read(new Uint8Array(1)).finally(() => answered = true).catch(() => {});
      linger(connection, async () => {
        while (!answered) {
          await connection.write(new Uint8Array(1));
          await sleep(50);
        }
      });
      return "body that trickles in";
    },
    async () => {
      const body = files[expensivePng];
      const connection = await open(body.length);
      for (let rest = body; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
      connection.close();
      return "client that leaves";
    },
  ];
}
