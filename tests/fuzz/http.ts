/** Feeds random requests to the HTTP handler: forms, types, lengths and chunks. */

import { photoHandler } from "../../src/serve/mod.ts";
import { joinBytes } from "../bytes.ts";
import type { FuzzRandom } from "./random.ts";

const maxBytes = 4096;
const png = Uint8Array.from(
  atob(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==",
  ),
  (letter) => letter.charCodeAt(0),
);

/** Statuses that a client can be at fault for. */
const statuses = [200, 400, 405, 408, 413, 415, 422];

let lastError: unknown;
const handler = photoHandler({
  maxBytes,
  maxMs: 500,
  rateMs: 200,
  onError: (error) => lastError = error,
  load: () => ({ type: "Fake", classify: () => Promise.resolve([]) }),
});

/** Sends a request. Throws unless its response is one that the documentation names. */
export default async function fuzzHttp(random: FuzzRandom): Promise<void> {
  const { body, type, length } = requestBody(random);
  const headers = new Headers();
  if (type !== undefined) headers.set("content-type", type);
  if (length !== undefined) headers.set("content-length", length);
  const query = random.pick(["", "", "?top=3", `?top=${random.edgy(31)}`, "?top=x&top=1", "?%"]);
  const method = random.chance(0.95) ? "POST" : random.pick(["PUT", "DELETE", "OPTIONS"]);
  const request = new Request(`http://x.test/${query}`, {
    method,
    headers,
    body: chunked(body, random),
  });
  const start = performance.now();
  const response = await handler(request);
  const text = await response.text();
  if (!statuses.includes(response.status)) {
    throw lastError ?? new Error(`${response.status}: ${text}`);
  }
  const json = JSON.parse(text);
  const isError = typeof json.error === "string" && !/\n|file:|\/src\//.test(json.error);
  if (response.status === 200 ? json.model !== "Fake" : !isError) throw new Error(text);
  if (performance.now() - start > 5000) throw new Error("slower than five seconds");
  // the next request must work
  const good = new Request("http://x.test/", {
    method: "POST",
    headers: { "content-type": "image/png" },
    body: png,
  });
  const { status } = await handler(good);
  if (status !== 200) throw new Error(`a good photo got ${status} afterwards`);
}

interface RequestBody {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type?: string;
  readonly length?: string;
}

function requestBody(random: FuzzRandom): RequestBody {
  const { body, type } = random.chance(0.6) ? form(random) : {
    body: random.chance(0.5) ? png : random.bytes(random.below(2 * maxBytes)),
    type: random.pick([
      "image/png",
      "application/octet-stream",
      "text/plain",
      "image/",
      "multipart/form-data",
      undefined,
    ]),
  };
  const length = random.chance(0.8)
    ? undefined
    : random.pick([String(random.edgy(53)), "-1", "x", "1e9", String(body.length)]);
  return { body, type, length };
}

/** A form, of which a part may be missing, doubled or damaged. */
function form(random: FuzzRandom): { body: Uint8Array<ArrayBuffer>; type: string } {
  const boundary = random.pick([
    "x",
    "--",
    "a b",
    "-".repeat(70),
    "b".repeat(random.below(200) + 1),
  ]);
  const head = random.pick([boundary, `"${boundary}"`, `"${boundary}`, "", "other"]);
  const lineBreak = random.chance(0.9) ? "\r\n" : random.pick(["\n", "\r", ""]);
  const parts: (string | Uint8Array)[] = [];
  if (random.chance(0.1)) parts.push("preamble", lineBreak);
  for (let i = random.below(random.chance(0.1) ? 120 : 4); i >= 0; i--) {
    const names = ["", "; filename=a.png", '; filename="a\\".png"', "; filename*=x"];
    const name = random.pick([...names, '; x="; filename=a', '; FILENAME="a\\']);
    const header = `Content-Disposition: form-data; name="p"${name}`;
    parts.push(`--${boundary}`, lineBreak);
    if (random.chance(0.9)) parts.push(header, lineBreak);
    if (random.chance(0.05)) parts.push("x: ", "y".repeat(random.below(20_000)), lineBreak);
    if (random.chance(0.9)) parts.push(lineBreak);
    parts.push(random.pick([png, "", "text", `--${boundary}`, random.bytes(random.below(50))]));
    if (random.chance(0.9)) parts.push(lineBreak);
  }
  if (random.chance(0.9)) parts.push(`--${boundary}--`);
  const all = joinBytes(parts);
  const end = random.chance(0.8) ? all.length : random.below(all.length + 1);
  const separator = random.pick(["; ", ";", " ; ", "; charset=utf-8; "]);
  return { body: all.slice(0, end), type: `multipart/form-data${separator}boundary=${head}` };
}

/** A body in random chunks, which may break off. */
function chunked(
  body: Uint8Array<ArrayBuffer>,
  random: FuzzRandom,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const largest = random.pick([1, 7, 1000, body.length + 1]), breaks = random.chance(0.05);
  let at = 0;
  return new ReadableStream({
    type: random.chance(0.5) ? "bytes" : undefined,
    pull(controller: ReadableStreamDefaultController | ReadableByteStreamController) {
      if (breaks && at >= body.length / 2) return controller.error(new TypeError("gone"));
      if (at >= body.length) {
        controller.close();
        return "byobRequest" in controller ? controller.byobRequest?.respond(0) : undefined;
      }
      const length = 1 + random.below(largest);
      controller.enqueue(body.slice(at, at + length));
      at += length;
    },
  } as UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>);
}
