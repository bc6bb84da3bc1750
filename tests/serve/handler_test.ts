import { ArgumentError, CodecError, PembrokeError } from "../../src/errors.ts";
import { photoHandler, type PhotoHandlerOptions } from "../../src/serve/mod.ts";
import { assert, assertEquals, assertMatch, assertThrows } from "../assert.ts";

const photos = new URL("../photos/", import.meta.url);
const coffee = await Deno.readFile(new URL("coffee.jpg", photos));
const predictions = [1, 2, 3].map((index) => ({
  index,
  wnid: "",
  label: `${index}`,
  probability: 1 / 2 ** index,
}));

/** A handler with a model that always returns the same predictions. */
function handlerOf(options: Partial<PhotoHandlerOptions> = {}) {
  return photoHandler({
    load: () => ({
      type: "Fake",
      classify: (_, { topK }) => Promise.resolve(predictions.slice(0, topK)),
    }),
    onError: (error) => {
      throw error;
    },
    ...options,
  });
}

const post = (
  body: BodyInit | null,
  type: string | undefined = "image/jpeg",
  headers: HeadersInit = {},
) =>
  new Request("http://x.test/", {
    method: "POST",
    body,
    headers: { ...(type === "" ? {} : { "content-type": type }), ...headers },
  });

/** The status and message of an error response. */
async function errorOf(response: Response): Promise<[number, string]> {
  assertEquals(response.headers.get("content-type"), "application/json");
  const { error, ...rest } = await response.json();
  assertEquals(rest, {});
  return [response.status, error];
}

Deno.test("photoHandler() classifies a body sent as an image or as bytes", async () => {
  for (const type of ["image/jpeg", "IMAGE/PNG", "application/octet-stream", "image/jpeg; x=y"]) {
    const response = await handlerOf()(post(coffee, type));
    assertEquals(response.status, 200);
    assertEquals(await response.json(), {
      model: "Fake",
      width: 600,
      height: 400,
      predictions,
      warnings: [],
    });
  }
});

Deno.test("photoHandler() classifies the first file of a form", async () => {
  const form = new FormData();
  form.append("note", "no file");
  form.append("any name", new Blob([coffee]), "any name");
  const request = new Request("http://x.test/?top=1", { method: "POST", body: form });
  const { predictions } = await (await handlerOf()(request)).json();
  assertEquals(predictions.length, 1);
});

Deno.test("photoHandler() allows only POST", async () => {
  for (const method of ["GET", "PUT", "DELETE"]) {
    const response = await handlerOf()(new Request("http://x.test/", { method }));
    assertEquals(response.headers.get("allow"), "POST");
    assertEquals(await errorOf(response), [405, "method not allowed: send the photo with POST"]);
  }
});

Deno.test("photoHandler() rejects other content types and names the accepted ones", async () => {
  for (const type of ["", "text/plain", "application/x-www-form-urlencoded", "imagine/png"]) {
    const response = await handlerOf()(post(coffee.slice(), type));
    assertMatch(response.headers.get("accept")!, /image\/\*/);
    const [status, line] = await errorOf(response);
    assertEquals(status, 415);
    assertMatch(line, /^(missing|unsupported) content type.*: send an image, or a form with one$/);
  }
});

Deno.test("photoHandler() rejects a request without a photo or with a damaged one", async () => {
  const form = new FormData();
  form.append("photo", "text");
  const cases: [Request, number, RegExp][] = [
    [post(null), 400, /^the photo is empty$/],
    [post(""), 400, /^the photo is empty$/],
    [new Request("http://x.test/", { method: "POST", body: form }), 400, /^the form has no file$/],
    [post(coffee, "multipart/form-data; charset=x"), 400, /^malformed form data$/],
    [post("hello"), 422, /^photo: /],
    [post(coffee.slice(0, 5000)), 422, /^photo: .*truncated/],
  ];
  for (const [request, status, line] of cases) {
    const [actual, error] = await errorOf(await handlerOf()(request));
    assertEquals(actual, status, error);
    assertMatch(error, line);
  }
});

Deno.test("photoHandler() rejects a photo with too many pixels", async () => {
  assertEquals(await errorOf(await handlerOf({ maxPixels: 239_999 })(post(coffee))), [
    413,
    "photo: is 600×400 pixels (0.24 megapixels), larger than the limit of 0.239999 megapixels",
  ]);
  assertEquals((await handlerOf({ maxPixels: 240_000 })(post(coffee))).status, 200);
});

Deno.test("photoHandler() rejects an invalid number of classes", async () => {
  for (const top of ["0", "-1", "x", "1.5", "", "99999"]) {
    const request = new Request(`http://x.test/?top=${top}`, post(coffee));
    const [status, line] = await errorOf(await handlerOf()(request));
    assertEquals([status, line], [400, `top is "${top}", must be an integer from 1 to 9999`]);
  }
});

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

Deno.test("photoHandler() answers 503 above maxRequests", async () => {
  const open = Promise.withResolvers<void>();
  const handler = handlerOf({
    maxRequests: 2,
    load: async () => {
      await open.promise;
      return { type: "Slow", classify: () => Promise.resolve([]) };
    },
  });
  const accepted = [handler(post(coffee)), handler(post(coffee))];
  const third = await handler(post(coffee));
  assertEquals(third.headers.get("retry-after"), "1");
  assertEquals(await errorOf(third), [503, "server busy, retry later"]);
  open.resolve();
  for (const { status } of await Promise.all(accepted)) assertEquals(status, 200);
  assertEquals((await handler(post(coffee))).status, 200);
});

Deno.test("photoHandler() loads the model once, and retries after a failure", async () => {
  const errors: unknown[] = [];
  let calls = 0;
  const handler = handlerOf({
    onError: (error) => errors.push(error),
    load: () => {
      calls++;
      if (calls === 1) throw new TypeError("a secret");
      if (calls === 2) throw new PembrokeError("weights: the server answered 404");
      return { type: "Fake", classify: () => Promise.resolve([]) };
    },
  });
  assertEquals(await errorOf(await handler(post(coffee))), [500, "unexpected error"]);
  const second = await errorOf(await handler(post(coffee)));
  assertEquals(second, [500, "unexpected error"]);
  assertEquals(errors.length, 2);
  const both = await Promise.all([handler(post(coffee)), handler(post(coffee))]);
  assertEquals([...both.map(({ status }) => status), calls], [200, 200, 3]);
});

Deno.test("photoHandler() rejects invalid options", () => {
  const names = ["maxBytes", "maxRequests", "maxDecodes", "maxUploads", "maxUploadBytes"] as const;
  const others = ["maxMs", "minBytesPerSecond", "rateMs", "maxPixels", "loadMs"] as const;
  for (const name of [...names, ...others]) {
    for (const value of [0, -1, NaN]) {
      assertThrows(() => handlerOf({ [name]: value }), ArgumentError, name);
    }
  }
  for (const cors of ["", "example.org", "https://example.org/", "null"]) {
    assertThrows(() => handlerOf({ cors }), ArgumentError, "cors");
  }
  for (const wrong of [{ onError: 1 }, { cros: "*" }] as unknown as PhotoHandlerOptions[]) {
    assertThrows(() => handlerOf(wrong), ArgumentError, "photoHandler: ");
  }
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

Deno.test("photoHandler() decodes one photo at a time by default", async () => {
  let decoding = 0, most = 0;
  const handler = handlerOf({
    maxDecodes: 2,
    decode: async () => {
      most = Math.max(most, ++decoding);
      await new Promise((resolve) => setTimeout(resolve, 5));
      decoding--;
      return { width: 1, height: 1, input: new Float32Array(1), warnings: [] };
    },
  });
  const answers = await Promise.all(Array.from({ length: 9 }, () => handler(post(coffee))));
  assertEquals([most, ...answers.map(({ status }) => status)], [2, ...Array(9).fill(200)]);
});

Deno.test("photoHandler() drops a photo whose client has disconnected", async () => {
  let decoded = 0;
  const client = new AbortController(), decoding = Promise.withResolvers<void>();
  const handler = handlerOf({
    maxDecodes: 1,
    decode: async (_, { signal }) => {
      decoded++;
      decoding.resolve();
      await new Promise((_, reject) => {
        signal!.addEventListener("abort", () => reject(signal!.reason));
      });
      throw new Error("never");
    },
  });
  const request = () => new Request(post(coffee), { signal: client.signal });
  const answers = [handler(request()), handler(request())];
  await decoding.promise;
  client.abort();
  for (const { status } of await Promise.all(answers)) assertEquals(status, 499);
  assertEquals(decoded, 1);
});

Deno.test("photoHandler() answers 500 when a codec is missing, without paths", async () => {
  const errors: unknown[] = [];
  const handler = handlerOf({
    onError: (error) => errors.push(error),
    decode: () => {
      const reason = "the JPEG codec cannot be loaded: Import 'https://x.test/secret.js' failed";
      throw new CodecError("photo", reason, { cause: new TypeError("x") });
    },
  });
  assertEquals(await errorOf(await handler(post(coffee))), [500, "unexpected error"]);
  assertEquals(errors.length, 1);
});

Deno.test("photoHandler() survives onError callbacks that fail", async () => {
  const callbacks: (() => unknown)[] = [
    () => {
      throw new Error("from onError");
    },
    () => Promise.reject(new Error("from onError")),
    () => new Promise(() => {}),
  ];
  for (const onError of callbacks) {
    const handler = handlerOf({
      onError: onError as () => void,
      load: () => Promise.reject(new Error("no model")),
    });
    assertEquals(await errorOf(await handler(post(coffee))), [500, "unexpected error"]);
  }
});

Deno.test("photoHandler() answers pages of one origin, if asked to", async () => {
  const preflight = (handler: ReturnType<typeof handlerOf>) =>
    handler(
      new Request("http://x.test/", {
        method: "OPTIONS",
        headers: { origin: "https://a.org", "access-control-request-method": "POST" },
      }),
    );
  assertEquals((await preflight(handlerOf())).status, 405);
  for (const cors of ["*", "https://a.org"]) {
    const handler = handlerOf({ cors });
    const { status, headers } = await preflight(handler);
    assertEquals([status, headers.get("access-control-allow-origin")], [204, cors]);
    assertEquals(headers.get("access-control-allow-headers"), "content-type");
    for (const body of [coffee, "no photo"]) {
      const { headers } = await handler(post(body));
      assertEquals(headers.get("access-control-allow-origin"), cors);
      assertEquals(headers.get("vary"), cors === "*" ? null : "origin");
    }
  }
  const plain = await handlerOf()(post(coffee));
  assertEquals(plain.headers.get("access-control-allow-origin"), null);
});
