import { PembrokeError } from "../../src/errors.ts";
import { photoHandler, type PhotoHandlerOptions } from "../../src/serve/mod.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";

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
  assertEquals(second, [500, "weights: the server answered 404"]);
  assertEquals(errors.length, 2);
  const both = await Promise.all([handler(post(coffee)), handler(post(coffee))]);
  assertEquals([...both.map(({ status }) => status), calls], [200, 200, 3]);
});
