import { assert, assertEquals } from "../assert.ts";
import { coffee, errorOf, handlerOf, post } from "./handlers.ts";

/** An endless body that records the bytes read and whether it was cancelled. */
function endless(chunk = 1000) {
  const progress = { bytesRead: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      controller.enqueue(new Uint8Array(chunk));
      progress.bytesRead += chunk;
    },
    cancel() {
      progress.cancelled = true;
    },
  });
  return { stream, progress };
}

Deno.test("photoHandler() stops reading a body at the limit", async () => {
  const handler = handlerOf({ maxBytes: 10_000 });
  const declared = endless();
  const length = { "content-length": "10001" };
  const first = await errorOf(await handler(post(declared.stream, "image/png", length)));
  assertEquals(first, [413, "request body larger than 10000 bytes"]);
  assert(declared.progress.cancelled && declared.progress.bytesRead <= 1000);

  const chunked = endless();
  assertEquals((await errorOf(await handler(post(chunked.stream, "image/png"))))[0], 413);
  const { cancelled, bytesRead } = chunked.progress;
  assert(cancelled && bytesRead <= 12_000, `${bytesRead}`);

  const wrong = endless();
  const tooShort = { "content-length": "10" };
  assertEquals((await errorOf(await handler(post(wrong.stream, "image/png", tooShort))))[0], 413);
});

Deno.test("photoHandler() times out a slow body and rejects an incomplete one", async () => {
  const never = new ReadableStream({ pull: () => new Promise<void>(() => {}) });
  const slow = await errorOf(await handlerOf({ maxMs: 20 })(post(never)));
  assertEquals(slow, [408, "request body timed out after 0.02 s"]);
  const broken = new ReadableStream({
    pull(controller) {
      controller.error(new TypeError("gone"));
    },
  });
  assertEquals(await errorOf(await handlerOf()(post(broken))), [400, "request body incomplete"]);
});

/** A body that never ends: it sends some bytes at regular intervals. */
function trickle(bytes: number, everyMs: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let timer: ReturnType<typeof setInterval>;
  return new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new Uint8Array(bytes)), everyMs);
    },
    cancel: () => clearInterval(timer),
  });
}

Deno.test("photoHandler() cuts off a body below the minimum rate", async () => {
  const handler = handlerOf({ rateMs: 50, minBytesPerSecond: 10_000 });
  for (const body of [trickle(1, 2), new ReadableStream()]) {
    const response = await handler(post(body));
    assertEquals(response.headers.get("connection"), "close");
    const reason = "request body too slow: below 10000 bytes per second";
    assertEquals(await errorOf(response), [408, reason]);
  }
});

Deno.test("photoHandler() rejects a body of very many small chunks", async () => {
  const body = endless(1);
  const reason = "request body in too many small chunks";
  assertEquals(await errorOf(await handlerOf()(post(body.stream))), [400, reason]);
  assert(body.progress.cancelled && body.progress.bytesRead < 2000);
});

Deno.test("photoHandler() never allocates the claimed length before bytes arrive", async () => {
  const handler = handlerOf({ maxBytes: 2 ** 28, maxUploadBytes: 2 ** 29, maxMs: 50 });
  const before = Deno.memoryUsage().external;
  const length = { "content-length": String(2 ** 28) };
  const waiting = Array.from({ length: 8 }, () => {
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array(10)),
    });
    return handler(post(body, "image/png", length));
  });
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert(Deno.memoryUsage().external - before < 2 ** 24);
  for (const response of await Promise.all(waiting)) assertEquals(response.status, 408);
});

Deno.test("photoHandler() rejects a body that ends before its length", async () => {
  const short = post("abc", "image/png", { "content-length": "5" });
  assertEquals(await errorOf(await handlerOf()(short)), [400, "request body incomplete"]);
});

Deno.test("photoHandler() takes no slot before the body has arrived", async () => {
  const handler = handlerOf({ maxRequests: 1, maxMs: 500 });
  const silent = Array.from({ length: 20 }, () => handler(post(new ReadableStream())));
  assertEquals((await handler(post(coffee))).status, 200);
  for (const response of await Promise.all(silent)) assertEquals(response.status, 408);
});

/** Posts a photo until it is classified. */
async function postUntilAccepted(handler: ReturnType<typeof handlerOf>): Promise<void> {
  const timeout = AbortSignal.timeout(20_000);
  for (let status = 0; status !== 200;) {
    timeout.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 10));
    ({ status } = await handler(post(coffee)));
    assert(status === 200 || status === 503, `${status}`);
  }
}

Deno.test("photoHandler() bounds the bodies in transit: slow ones make room", async () => {
  const handler = handlerOf({ maxUploads: 2, rateMs: 2000, minBytesPerSecond: 1 });
  const slow = [0, 1].map(() => handler(post(trickle(1, 5))));
  // nobody is known to be slow yet
  assertEquals(await errorOf(await handler(post(coffee))), [503, "server busy, retry later"]);
  await postUntilAccepted(handler);
  const reason = "request body too slow for a busy server";
  assertEquals(await errorOf(await Promise.race(slow)), [408, reason]);
});

Deno.test("photoHandler() bounds the bytes of all bodies: others wait", async () => {
  const size = coffee.length, limits = { maxBytes: 2 * size, maxUploadBytes: 2 * size };
  let decoding = 0, open = Promise.withResolvers<void>();
  const handler = handlerOf({
    ...limits,
    async decode() {
      decoding++;
      await open.promise;
      return { width: 1, height: 1, input: new Float32Array(1), warnings: [] };
    },
  });
  const answers = Array.from({ length: 6 }, () => handler(post(coffee)));
  while (decoding < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals(decoding, 2);
  open.resolve();
  for (const { status } of await Promise.all(answers)) assertEquals(status, 200);
  open = Promise.withResolvers();
  open.resolve();
});

Deno.test("photoHandler() never blocks bodies that wait for each other", async () => {
  const size = coffee.length, limits = { maxBytes: size, maxUploadBytes: size };
  const handler = handlerOf(limits);
  const halves = () =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      async start(controller) {
        controller.enqueue(coffee.slice(0, size >> 1));
        await new Promise((resolve) => setTimeout(resolve, 20));
        controller.enqueue(coffee.slice(size >> 1));
        controller.close();
      },
    });
  const answers = await Promise.all(Array.from({ length: 8 }, () => handler(post(halves()))));
  assertEquals(answers.map(({ status }) => status), Array(8).fill(200));
});

Deno.test("photoHandler() stops a slow body that others wait for", async () => {
  const limits = { maxBytes: 2 * coffee.length, maxUploadBytes: 2 * coffee.length };
  const handler = handlerOf({ ...limits, rateMs: 100, minBytesPerSecond: 1, maxMs: 20_000 });
  const half = new Uint8Array(Math.ceil(1.5 * coffee.length));
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(half),
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      controller.enqueue(new Uint8Array(1));
    },
  });
  const slow = handler(post(body));
  assertEquals((await handler(post(coffee))).status, 200);
  const reason = "request body too slow for a busy server";
  assertEquals(await errorOf(await slow), [408, reason]);
  // all of it is free again
  for (let i = 0; i < 4; i++) assertEquals((await handler(post(coffee))).status, 200);
});
