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

/** A handler whose model always says the same. */
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

/** The status and the line of a refusal. */
async function refusal(response: Response): Promise<[number, string]> {
  assertEquals(response.headers.get("content-type"), "application/json");
  const { error, ...rest } = await response.json();
  assertEquals(rest, {});
  return [response.status, error];
}

Deno.test("photoHandler() classifies a body with the type of an image, or of bytes", async () => {
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

Deno.test("photoHandler() refuses what is not posted", async () => {
  for (const method of ["GET", "PUT", "DELETE"]) {
    const response = await handlerOf()(new Request("http://x.test/", { method }));
    assertEquals(response.headers.get("allow"), "POST");
    assertEquals(await refusal(response), [405, `${method} is not done here, POST a photo`]);
  }
});

Deno.test("photoHandler() refuses what is no image and says what it takes", async () => {
  for (const type of ["", "text/plain", "application/x-www-form-urlencoded", "imagine/png"]) {
    const response = await handlerOf()(post(coffee.slice(), type));
    assertMatch(response.headers.get("accept")!, /image\/\*/);
    const [status, line] = await refusal(response);
    assertEquals(status, 415);
    assertMatch(line, /^the body was sent .+, must be an image or a form with one$/);
  }
});

Deno.test("photoHandler() refuses what holds no photo, or a damaged one", async () => {
  const form = new FormData();
  form.append("photo", "text");
  const cases: [Request, number, RegExp][] = [
    [post(null), 400, /^the photo is empty$/],
    [post(""), 400, /^the photo is empty$/],
    [new Request("http://x.test/", { method: "POST", body: form }), 400, /holds no file/],
    [post(coffee, "multipart/form-data; charset=x"), 400, /cannot be read/],
    [post("hello"), 422, /^photo: /],
    [post(coffee.slice(0, 5000)), 422, /^photo: .*truncated/],
  ];
  for (const [request, status, line] of cases) {
    const [found, error] = await refusal(await handlerOf()(request));
    assertEquals(found, status, error);
    assertMatch(error, line);
  }
});

Deno.test("photoHandler() refuses a photo of too many pixels as it does a body that is too large", async () => {
  assertEquals(await refusal(await handlerOf({ maxPixels: 239_999 })(post(coffee))), [
    413,
    "photo: is 600×400 pixels (0.24 megapixels), larger than the limit of 0.239999 megapixels",
  ]);
  assertEquals((await handlerOf({ maxPixels: 240_000 })(post(coffee))).status, 200);
});

Deno.test("photoHandler() refuses a number of classes that is none", async () => {
  for (const top of ["0", "-1", "x", "1.5", "", "99999"]) {
    const request = new Request(`http://x.test/?top=${top}`, post(coffee));
    const [status, line] = await refusal(await handlerOf()(request));
    assertEquals([status, line], [400, `top is "${top}", must be an integer from 1 on`]);
  }
});

/** A body without an end; tells how much of it was taken, and whether it was left. */
function endless(chunk = 1000) {
  const told = { taken: 0, left: false };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      controller.enqueue(new Uint8Array(chunk));
      told.taken += chunk;
    },
    cancel() {
      told.left = true;
    },
  });
  return { stream, told };
}

Deno.test("photoHandler() reads no more of a large body than it may", async () => {
  const handler = handlerOf({ maxBytes: 10_000 });
  const said = endless();
  const length = { "content-length": "10001" };
  const first = await refusal(await handler(post(said.stream, "image/png", length)));
  assertEquals(first, [413, "the body is larger than 10000 bytes"]);
  assert(said.told.left && said.told.taken <= 1000, "a body that says it is too large");

  const unsaid = endless();
  assertEquals((await refusal(await handler(post(unsaid.stream, "image/png"))))[0], 413);
  assert(unsaid.told.left && unsaid.told.taken <= 12_000, `${unsaid.told.taken}`);

  const lying = endless();
  const lie = { "content-length": "10" };
  assertEquals((await refusal(await handler(post(lying.stream, "image/png", lie))))[0], 413);
});

Deno.test("photoHandler() does not wait for ever for a body, nor for one that broke off", async () => {
  const never = new ReadableStream({ pull: () => new Promise<void>(() => {}) });
  const slow = await refusal(await handlerOf({ maxMs: 20 })(post(never)));
  assertEquals(slow, [408, "the body was not here after 0.02 s"]);
  const broken = new ReadableStream({
    pull(controller) {
      controller.error(new TypeError("gone"));
    },
  });
  assertEquals(await refusal(await handlerOf()(post(broken))), [400, "the body broke off"]);
});

Deno.test("photoHandler() takes so many requests at once and tells others to come again", async () => {
  const open = Promise.withResolvers<void>();
  const handler = handlerOf({
    maxRequests: 2,
    load: async () => {
      await open.promise;
      return { type: "Slow", classify: () => Promise.resolve([]) };
    },
  });
  const taken = [handler(post(coffee)), handler(post(coffee))];
  const third = await handler(post(coffee));
  assertEquals(third.headers.get("retry-after"), "1");
  assertEquals((await refusal(third))[0], 503);
  open.resolve();
  for (const { status } of await Promise.all(taken)) assertEquals(status, 200);
  assertEquals((await handler(post(coffee))).status, 200);
});

Deno.test("photoHandler() loads the model once, and again when that failed", async () => {
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
  assertEquals(await refusal(await handler(post(coffee))), [500, "unexpected error"]);
  const second = await refusal(await handler(post(coffee)));
  assertEquals(second, [500, "weights: the server answered 404"]);
  assertEquals(errors.length, 2);
  const both = await Promise.all([handler(post(coffee)), handler(post(coffee))]);
  assertEquals([...both.map(({ status }) => status), calls], [200, 200, 3]);
});
