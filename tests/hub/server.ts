/** An HTTP server of one file that fails on request. */

import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** How the server answers a request. By default, it answers correctly. */
export interface Behaviour {
  /** Answers with this status and no file. */
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Whether the server supports `Range`. Default true. */
  readonly ranges?: boolean;
  /** Closes the connection after this many bytes. */
  readonly cutAfter?: number;
  /** Stops sending after this many bytes. */
  readonly stallAfter?: number;
  /** Sends these bytes instead of the file. */
  readonly bytes?: Uint8Array;
  /** Starts at another offset than requested, and declares it. */
  readonly wrongStart?: boolean;
  /** Sends no content-length. */
  readonly chunked?: boolean;
  /** Milliseconds between chunks of 256 KiB. */
  readonly pauseMs?: number;
  /** Sends one byte at a time, this many milliseconds apart. */
  readonly trickleMs?: number;
  /** Waits for this after the first chunk. */
  readonly hold?: Promise<void>;
}

/** A server of one file, wherever it is asked for. */
export interface FileServer extends AsyncDisposable {
  readonly url: string;
  /** The `Range` header of each request so far. */
  readonly ranges: readonly (string | undefined)[];
}

/** Serves a file. Each request uses the next behaviour, and the last one stays. */
export async function serveFile(
  file: Uint8Array,
  ...behaviours: readonly Behaviour[]
): Promise<FileServer> {
  const ranges: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    const { range } = request.headers;
    const behaviour = behaviours[Math.min(ranges.length, behaviours.length - 1)] ?? {};
    ranges.push(range);
    answer(behaviour.bytes ?? file, range, behaviour, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights`,
    ranges,
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
  const isPartial = ranges && range !== undefined;
  let start = isPartial ? Number(/^bytes=(\d+)-$/.exec(range)![1]) : 0;
  if (isPartial && start >= bytes.length) return void response.writeHead(416).end();
  if (wrongStart) start = Math.max(0, start - 7);
  if (!chunked) response.setHeader("content-length", bytes.length - start);
  if (isPartial) {
    response.setHeader("content-range", `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
  }
  response.writeHead(isPartial ? 206 : 200);
  for (let at = start; behaviour.trickleMs && !response.destroyed && at < bytes.length; at++) {
    response.write(bytes.subarray(at, at + 1));
    await pause(behaviour.trickleMs);
  }
  if (behaviour.trickleMs) return;
  const end = Math.min(bytes.length, start + cutAfter, start + stallAfter);
  for (let at = start; at < end && !response.destroyed; at += 1 << 18) {
    if (pauseMs) await pause(pauseMs);
    const hasSpace = response.write(bytes.subarray(at, Math.min(end, at + (1 << 18))));
    if (!hasSpace) await drain(response);
    if (at === start) await hold;
  }
  if (end === start + stallAfter) response.flushHeaders();
  else if (end === bytes.length) response.end();
  else response.destroy();
}

/** Waits until the response has space again, or is closed. */
async function drain(response: ServerResponse): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  response.on("drain", resolve).on("close", resolve);
  await promise;
  response.off("drain", resolve).off("close", resolve);
}
