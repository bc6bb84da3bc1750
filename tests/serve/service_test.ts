import { loadModel } from "../../mod.ts";
import { ArgumentError, DeviceLostError, FileError } from "../../src/errors.ts";
import { PhotoService } from "../../src/serve/mod.ts";
import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "../assert.ts";

const post = { method: "POST", body: "photo", headers: { "content-type": "image/png" } };
const request = (path: string, init?: RequestInit) => new Request(`http://x.test${path}`, init);

/**
 * A service that decodes any body as a grey photo, and the body "bad" as a damaged one.
 *
 * @param gate Awaited by each decoding, with the number of photos so far.
 */
async function serviceOf(gate: (count: number) => Promise<void>) {
  let count = 0;
  const model = await loadModel();
  const service = new PhotoService(model, {
    residentBytes: () => 4711,
    decode: async (bytes) => {
      await gate(++count);
      if (new TextDecoder().decode(bytes) === "bad") throw new FileError("photo", "is bad");
      const input = new Float32Array(3 * 64 * 64);
      return { width: 1, height: 1, input, warnings: ["odd"] };
    },
  });
  return { service, [Symbol.dispose]: () => model.dispose() };
}

Deno.test("PhotoService reports metrics in the Prometheus format", async () => {
  const three = Promise.withResolvers<void>();
  using fake = await serviceOf((count) => {
    if (count === 3) three.resolve();
    return three.promise;
  });
  const { service } = fake;
  // all three are decoded before any is classified
  const answers = await Promise.all([1, 2, 3].map(() => service.fetch(request("/", post))));
  assertEquals(answers.map(({ status }) => status), [200, 200, 200]);
  assertEquals((await answers[0].json()).warnings, ["odd"]);
  await service.fetch(request("/", { ...post, body: "bad" }));
  await service.fetch(request("/"));
  const answer = await service.fetch(request("/metrics"));
  assertMatch(answer.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  for (
    const line of [
      "# TYPE pembroke_requests_total counter",
      'pembroke_requests_total{status="200"} 3',
      'pembroke_requests_total{status="405"} 1',
      'pembroke_requests_total{status="422"} 1',
      "pembroke_requests_in_flight 0",
      "# TYPE pembroke_batch_photos histogram",
      'pembroke_batch_photos_bucket{le="2"} 0',
      'pembroke_batch_photos_bucket{le="4"} 1',
      'pembroke_batch_photos_bucket{le="+Inf"} 1',
      "pembroke_batch_photos_sum 3",
      "pembroke_request_seconds_count 5",
      "process_resident_memory_bytes 4711",
    ]
  ) assertStringIncludes(`\n${text}`, `\n${line}\n`);
  for (const line of text.trimEnd().split("\n")) {
    assertMatch(line, /^# (HELP|TYPE) \w+ .+$|^\w+(\{\w+="[\w.+]+"\})? [\d.e-]+$/);
  }
});

Deno.test("PhotoService.close() rejects new photos and waits for accepted ones", async () => {
  const open = Promise.withResolvers<void>();
  using fake = await serviceOf(() => open.promise);
  const { service } = fake;
  const accepted = service.fetch(request("/", post));
  const order: string[] = [];
  const closed = service.close().then(() => order.push("closed"));
  const again = service.close();
  const late = await service.fetch(request("/", post));
  assertEquals([late.status, late.headers.get("connection")], [503, "close"]);
  assertEquals((await service.fetch(request("/healthz"))).status, 503);
  assertEquals((await service.fetch(request("/metrics"))).status, 200);
  const answered = accepted.then(() => order.push("answered"));
  assertEquals(order, []);
  open.resolve();
  await Promise.all([closed, answered]);
  assertEquals((await accepted).status, 200);
  assertEquals(order.length, 2);
  await again;
  await service.close();
});

Deno.test("PhotoService lets pages of other origins read that it is closing", async () => {
  const service = new PhotoService(new FragileModel(), { decode, cors: "*" });
  await service.close();
  const headers = { "access-control-request-method": "POST" };
  for (const init of [post, { method: "OPTIONS", headers }]) {
    const answer = await service.fetch(request("/", init));
    assertEquals(answer.status, init === post ? 503 : 204);
    assertEquals(answer.headers.get("access-control-allow-origin"), "*");
  }
  const text = await (await service.fetch(request("/metrics"))).text();
  assertStringIncludes(text, '\npembroke_requests_total{status="503"} 1\n');
});

/** A model that fails as long as it is told to, or never answers. */
class FragileModel {
  readonly type = "Fragile";
  state: "works" | "fails" | "hangs" = "works";
  calls = 0;

  preprocess(): Float32Array {
    return new Float32Array(1);
  }

  classifyBatch(images: readonly unknown[]) {
    this.calls++;
    if (this.state === "fails") return Promise.reject(new DeviceLostError("gone: /secret/path"));
    if (this.state === "hangs") return new Promise<never>(() => {});
    return Promise.resolve(images.map(() => [{ index: 1, wnid: "", label: "", probability: 1 }]));
  }
}

/** A decoder that needs no picture. */
const decode = () =>
  Promise.resolve({ width: 1, height: 1, input: new Float32Array(1), warnings: [] });

Deno.test("PhotoService reports its health by a recent inference", async () => {
  const model = new FragileModel();
  const service = new PhotoService(model, { decode, healthMs: 500, onError: () => {} });
  const health = async () => {
    const answer = await service.fetch(request("/healthz"));
    return [answer.status, (await answer.json()).status];
  };
  assertEquals(await health(), [200, "ok"]);
  assertEquals(model.calls, 1); // it tried
  assertEquals(await health(), [200, "ok"]);
  assertEquals(model.calls, 1); // the last one is recent
  model.state = "fails";
  const failure = await service.fetch(request("/", post));
  assertEquals([failure.status, await failure.json()], [500, { error: "unexpected error" }]);
  assertEquals(await health(), [503, "failing"]);
  assertEquals((await Promise.all([health(), health()]))[1], [503, "failing"]);
  model.state = "works";
  assertEquals(await health(), [200, "ok"]);
  model.state = "fails";
  await (await service.fetch(request("/", post))).body?.cancel();
  model.state = "hangs";
  assertEquals(await health(), [503, "failing"]);
});

Deno.test("PhotoService reports failing when pictures cannot be decoded", async () => {
  for (const decode of [() => new Promise<never>(() => {}), () => Promise.reject(new Error("x"))]) {
    const service = new PhotoService(new FragileModel(), { decode, healthMs: 20 });
    assertEquals((await service.fetch(request("/healthz"))).status, 503);
  }
});

Deno.test("PhotoService refuses options that it would ignore, and those of wrong types", () => {
  const wrong: [unknown, string][] = [
    [null, "options is null"],
    [{ loadMs: 1 }, 'an option is "loadMs"'],
    [{ maxBytes: 0 }, "maxBytes is 0"],
    [{ healthMs: 0 }, "healthMs is 0"],
  ];
  for (const [options, text] of wrong) {
    const create = () => new PhotoService(new FragileModel(), options as { maxBytes: number });
    assertThrows(create, ArgumentError, `PhotoService: ${text}`);
  }
});

Deno.test("PhotoService.close() rejects bodies that do not arrive", async () => {
  const service = new PhotoService(new FragileModel(), { decode });
  const body = new ReadableStream({ pull: () => new Promise<void>(() => {}) });
  const waiting = service.fetch(request("/", { ...post, body }));
  await service.close({ uploadMs: 10 });
  assertEquals((await waiting).status, 503);
});

Deno.test("PhotoService answers a malformed Host header with 400", async () => {
  const service = new PhotoService(new FragileModel(), { decode, cors: "*" });
  for (const [path, init] of [["/", post], ["/", {}], ["/healthz", {}]] as const) {
    const bad = request(path, init);
    Object.defineProperty(bad, "url", { value: `http://a b${path}` }); // as Deno joins it
    const answer = await service.fetch(bad);
    assertEquals(answer.headers.get("access-control-allow-origin"), "*");
    assertEquals([answer.status, await answer.json()], [400, {
      error: "malformed URL or Host header",
    }]);
  }
  const text = await (await service.fetch(request("/metrics"))).text();
  assertStringIncludes(text, '\npembroke_requests_total{status="400"} 3\n');
});

Deno.test("PhotoService decodes one photo at a time by default, and classifies in batches", async () => {
  const sizes: number[] = [], pixels: Uint8Array[] = [];
  const service = new PhotoService({
    type: "Fake",
    preprocess({ data }) {
      assertEquals(pixels.filter(({ length }) => length > 0), []);
      pixels.push(data as Uint8Array);
      return new Float32Array(1);
    },
    async classifyBatch(images: readonly unknown[]) {
      sizes.push(images.length);
      for (let i = 0; i < 200 && pixels.length < 4; i++) {
        await new Promise((go) => setTimeout(go, 5));
      }
      return images.map(() => [{ index: 1, wnid: "", label: "", probability: 1 }]);
    },
  });
  const body = await Deno.readFile(new URL("../photos/chelsea.png", import.meta.url));
  const answers = Array.from({ length: 4 }, () => service.fetch(request("/", { ...post, body })));
  for (const { status } of await Promise.all(answers)) assertEquals(status, 200);
  assertEquals(sizes.reduce((a, b) => a + b), 4);
  assertEquals(sizes.length < 4, true, `${sizes}`);
});

Deno.test("PhotoService works without options, for real pictures", async () => {
  using model = await loadModel();
  const service = new PhotoService(model);
  assertEquals((await service.fetch(request("/healthz"))).status, 200);
});
