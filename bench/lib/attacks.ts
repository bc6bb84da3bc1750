/**
 * Hostile requests: files that are expensive to decode, and clients that misbehave.
 *
 * @module
 */

import { expensivePng, hostileFiles } from "./hostile_files.ts";
import type { Server } from "./server.ts";

/** Sends one hostile request, and returns what became of it. */
export type Attack = () => Promise<string>;

/** The attacks on a server. */
export function attacksOn(server: Server): Attack[] {
  const files = hostileFiles();
  return [
    ...Object.entries(files).map(([name, body]) => () => post(server, name, body)),
    () => sendNoBody(server),
    () => trickleBody(server),
    () => leave(server, files[expensivePng]),
  ];
}

async function post(
  server: Server,
  name: string,
  body: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const headers = { "content-type": "image/png" };
  const answer = await server.fetch("/", { method: "POST", body, headers });
  await answer.body?.cancel();
  return `${name}: ${answer.status}`;
}

async function sendNoBody(server: Server): Promise<string> {
  const connection = await open(server, 10_000_000);
  linger(connection, () => connection.read(new Uint8Array(1)));
  return "header without a body";
}

async function trickleBody(server: Server): Promise<string> {
  const connection = await open(server, 10_000);
  let answered = false;
  connection.read(new Uint8Array(1)).finally(() => answered = true).catch(() => {});
  linger(connection, async () => {
    while (!answered) {
      await connection.write(new Uint8Array(1));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  return "body that trickles in";
}

async function leave(server: Server, body: Uint8Array): Promise<string> {
  const connection = await open(server, body.length);
  for (let rest = body; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
  connection.close();
  return "client that leaves";
}

/** Opens a connection, and sends the headers of a photo of this length. */
async function open({ port }: Server, length: number): Promise<Deno.Conn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const lines = ["POST / HTTP/1.1", "Host: x", "Content-Type: image/png"];
  const text = [...lines, `Content-Length: ${length}`, "", ""].join("\r\n");
  await connection.write(new TextEncoder().encode(text));
  return connection;
}

/** Keeps a connection without waiting for it. */
function linger(connection: Deno.Conn, work: () => Promise<unknown>): void {
  void work().catch(() => {}).finally(() => connection.close());
}
