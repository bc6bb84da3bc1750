import { ArgumentError, CodecError, PembrokeError } from "../../src/errors.ts";
import type { PhotoHandlerOptions } from "../../src/serve/mod.ts";
import { assertEquals, assertMatch, assertThrows } from "../assert.ts";
import { coffee, errorOf, handlerOf, post, predictions } from "./handlers.ts";

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
    assertMatch(
      line,
      /^(missing|unsupported) content type.*: send a photo with its type, such as "image\/jpeg", or a form/,
    );
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
