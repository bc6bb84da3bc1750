import { loadModel } from "../../mod.ts";
import { FileError } from "../../src/errors.ts";
import { PhotoService } from "../../src/serve/mod.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "../assert.ts";

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
  await service.close();
});
