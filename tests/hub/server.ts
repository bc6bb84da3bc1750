/** A server of one file, which misbehaves as a test asks it to. */

import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** How the server answers one request; what is left out is as it should be. */
export interface Behaviour {
  /** Answers with this number instead. */
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Whether `Range` is heeded. Default true. */
  readonly ranges?: boolean;
  /** Bytes to send before the connection breaks. */
  readonly cutAfter?: number;
  /** Bytes to send before silence. */
  readonly stallAfter?: number;
  /** Other bytes than those of the file. */
  readonly bytes?: Uint8Array;
  /** Begins elsewhere than it was asked to, and says so. */
  readonly wrongStart?: boolean;
  /** Says nothing of the length. */
  readonly chunked?: boolean;
  /** Milliseconds between pieces of 256 KiB. */
  readonly pauseMs?: number;
  /** Waits for this after the first piece. */
  readonly hold?: Promise<void>;
}

export interface StaticServer extends AsyncDisposable {
  readonly url: string;
  /** The `Range` of each request so far. */
  readonly asked: readonly (string | undefined)[];
}

/** Serves `file`; each request takes the next behaviour, the last one for ever. */
export async function serveFile(
  file: Uint8Array,
  ...behaviours: readonly Behaviour[]
): Promise<StaticServer> {
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    const { range } = request.headers;
    const behaviour = behaviours[Math.min(asked.length, behaviours.length - 1)] ?? {};
    asked.push(range);
    answer(behaviour.bytes ?? file, range, behaviour, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function answer(
  bytes: Uint8Array,
  range: string | undefined,
  behaviour: Behaviour,
  response: ServerResponse,
): Promise<void> {
  const { status, headers = {}, ranges = true, wrongStart, chunked, pauseMs = 0 } = behaviour;
  const { cutAfter = Infinity, stallAfter = Infinity, hold } = behaviour;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (status) return void response.writeHead(status).end("sorry");
  const asked = ranges && range !== undefined;
  let start = asked ? Number(/^bytes=(\d+)-$/.exec(range)![1]) : 0;
  if (asked && start >= bytes.length) return void response.writeHead(416).end();
  if (wrongStart) start = Math.max(0, start - 7);
  if (!chunked) response.setHeader("content-length", bytes.length - start);
  if (asked) {
    response.setHeader("content-range", `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
  }
  response.writeHead(asked ? 206 : 200);
  const end = Math.min(bytes.length, start + cutAfter, start + stallAfter);
  for (let at = start; at < end && !response.destroyed; at += 1 << 18) {
    if (pauseMs) await pause(pauseMs);
    const more = response.write(bytes.subarray(at, Math.min(end, at + (1 << 18))));
    if (!more) await drained(response);
    if (at === start) await hold;
  }
  if (end === start + stallAfter) response.flushHeaders();
  else if (end === bytes.length) response.end();
  else response.destroy();
}

/** Waits until there is room, or nobody reads any more. */
async function drained(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  response.on("drain", resolve).on("close", resolve);
  await promise;
  response.off("drain", resolve).off("close", resolve);
}
