import { Decoders } from "../../src/cli/decoders.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";
import { hugePng } from "../image/fixtures.ts";
import { crashingWorker } from "../image/threads/replace_worker.ts";
import { Server } from "../../bench/lib/server.ts";
import { cli, otherWorker, run, theError } from "./run.ts";

const coffee = await Deno.readFile(new URL("../photos/coffee.jpg", import.meta.url));
const post = { method: "POST", body: coffee, headers: { "content-type": "image/jpeg" } };

const chelsea = await Deno.readFile(new URL("../photos/chelsea.png", import.meta.url));

/** Starts a server on a free port. */
function start(
  script: readonly string[] = [cli],
  options: readonly string[] = [],
): Promise<Server> {
  const flags = ["run", "--quiet", "--no-prompt", "--allow-read", "--allow-net=127.0.0.1"];
  const command = [...flags, ...script, "serve", "--port=0", ...options];
  return Server.start(Deno.execPath(), command, /listening on http:\/\/127\.0\.0\.1:(\d+)\//);
}

/** A request of which only the first part was sent. */
class PartialRequest implements Disposable {
  private constructor(private readonly connection: Deno.Conn) {}

  static async to({ port }: Server): Promise<PartialRequest> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n` +
      `Content-Length: ${coffee.length}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(head));
    await connection.write(coffee.subarray(0, 1000));
    return new PartialRequest(connection);
  }

  /** Sends the rest and returns the response. */
  async finish(): Promise<string> {
    for (let sent = 1000; sent < coffee.length;) {
      sent += await this.connection.write(coffee.subarray(sent));
    }
    return await this.text();
  }

  /** The response. */
  async text(): Promise<string> {
    return await new Response(this.connection.readable).text();
  }

  close(): void {
    this.connection.close();
  }

  [Symbol.dispose](): void {
    try {
      this.close();
    } catch {
      // the server has closed it
    }
  }
}

/** The value of one of the server's metrics. */
async function metric(server: Server, name: string): Promise<number> {
  const text = await (await server.fetch("/metrics")).text();
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return Number(line?.slice(name.length));
}

/** Waits until this many requests are in progress. */
async function untilInFlight(server: Server, count: number): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  while (await metric(server, "pembroke_requests_in_flight") !== count) signal.throwIfAborted();
}

Deno.test("serve classifies in batches, reports health and metrics, and rejects bad requests", async () => {
  await using server = await start();
  const answers = await Promise.all(Array.from({ length: 40 }, () => server.fetch("/", post)));
  for (const answer of answers) {
    assertEquals((await answer.json()).predictions[0].label, "espresso");
  }
  const damaged = await server.fetch("/", { ...post, body: coffee.slice(0, 9000) });
  assertEquals(damaged.status, 422);
  assertMatch((await damaged.json()).error, /^photo: the JPEG/);
  const huge = await server.fetch("/", { ...post, body: hugePng() });
  assertEquals(huge.status, 413);
  assertMatch((await huge.json()).error, /^photo: is 30000×30000 pixels/);

  const health = await server.fetch("/healthz");
  assertEquals(await health.json(), { status: "ok", model: "resnet-tiny" });
  assertEquals(await metric(server, 'pembroke_requests_total{status="200"}'), 40);
  assertEquals(await metric(server, 'pembroke_requests_total{status="422"}'), 1);
  assertEquals(await metric(server, "pembroke_request_seconds_count"), 42);
  assertEquals(await metric(server, "pembroke_batch_photos_sum"), 40);
  assert(await metric(server, "pembroke_batch_photos_count") >= 3, "more than 16 in a batch");
  assert(await metric(server, "process_resident_memory_bytes") > 1e6);

  const elsewhere = await server.fetch("/photo", post);
  const { error } = await elsewhere.json();
  assertEquals([elsewhere.status, error], [404, "not found: /photo; send photos to / with POST"]);
  const posted = await server.fetch("/metrics", post);
  assertEquals([posted.status, posted.headers.get("allow")], [405, "GET, HEAD"]);
  await posted.body?.cancel();
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test({
    name: `serve finishes accepted requests on ${signal}, then exits with 0`,
    ignore: Deno.build.os === "windows",
    fn: async () => {
      await using server = await start();
      await (await server.fetch("/", post)).body?.cancel(); // a connection that stays open
      const photos = await Promise.all(Array.from({ length: 5 }, () => PartialRequest.to(server)));
      await untilInFlight(server, 5);
      server.process.kill(signal);
      while (!server.output.text.includes("stopping")) {
        await new Promise((go) => setTimeout(go, 5));
      }
      for (const photo of photos) assertMatch(await photo.finish(), /^HTTP\/1\.1 200 .*espresso/s);
      assertEquals((await server.process.status).code, 0, server.output.text);
    },
  });
}

Deno.test("serve answers while other clients send no body, or send theirs slowly", async () => {
  await using server = await start();
  const photos = await Promise.all(Array.from({ length: 200 }, () => PartialRequest.to(server)));
  await untilInFlight(server, 200);
  const answer = await server.fetch("/", post);
  assertEquals([answer.status, (await answer.json()).predictions.length], [200, 5]);
  assertEquals((await server.fetch("/healthz").then((r) => r.json())).status, "ok");
  const [first, ...others] = photos;
  assertMatch(await first.finish(), /^HTTP\/1\.1 200 /);
  others.forEach((photo) => photo.close());
  await untilInFlight(server, 0);
});

Deno.test({
  name: "serve stops within ten seconds, whatever clients do",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using server = await start();
    // one waits for the rest of its body, and one was answered before it sent the rest
    using partial = await PartialRequest.to(server);
    using answered = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const head =
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n";
    await answered.write(new TextEncoder().encode(head));
    assert(await answered.read(new Uint8Array(1000)));
    await untilInFlight(server, 1);
    const before = performance.now();
    server.process.kill("SIGTERM");
    assertMatch(await partial.text(), /^HTTP\/1\.1 503 .*server is shutting down/s);
    assertEquals((await server.process.status).code, 0, server.output.text);
    assert(performance.now() - before < 10_000);
  },
});

Deno.test("serve has options for its limits and for pages of other origins", async () => {
  const origin = "https://example.org";
  const options = ["--max-bytes=50kB", "--max-pixels=1000", `--cors=${origin}`, "--memory=64MB"];
  await using server = await start([cli], options);
  const large = await server.fetch("/", { ...post, body: new Uint8Array(50_001) });
  const { error } = await large.json();
  assertEquals([large.status, error], [413, "request body larger than 50000 bytes"]);
  const photo = await server.fetch("/", { ...post, body: chelsea.subarray(0, 50_000) });
  assertEquals(photo.status, 413);
  assertMatch((await photo.json()).error, /larger than the limit of 0\.001 megapixels/);
  assertEquals(photo.headers.get("access-control-allow-origin"), origin);
  const headers = { origin, "access-control-request-method": "POST" };
  const preflight = await server.fetch("/", { method: "OPTIONS", headers });
  assertEquals(preflight.status, 204);
  assertEquals(preflight.headers.get("access-control-allow-methods"), "POST");
});

Deno.test("serve continues when photos crash decoding threads", async () => {
  await using server = await start([otherWorker, crashingWorker.href]);
  const crashing = new Blob([coffee, "throw"]);
  for (let round = 0; round < 2; round++) {
    const bodies = Array.from({ length: 12 }, (_, i) => i % 4 === 1 ? crashing : coffee);
    const answers = await Promise.all(bodies.map((body) => server.fetch("/", { ...post, body })));
    for (const [i, answer] of answers.entries()) {
      const { error, predictions } = await answer.json();
      assertEquals(
        [answer.status, predictions?.[0].label],
        i % 4 === 1 ? [500, undefined] : [200, "espresso"],
      );
      if (error) assertEquals(error, "unexpected error");
    }
  }
});

Deno.test("a server starts with as little memory as one wants", () => {
  const preprocessing = { resize: 8, crop: 8, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  for (const bytes of [1, 2, 3, 4]) new Decoders(preprocessing, bytes)[Symbol.dispose]();
});

Deno.test("serve reports when it cannot listen", async () => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = other.addr;
  const line = theError(await run(["serve", "-q", `--port=${port}`]), 1);
  assertMatch(line, new RegExp(`^cannot listen on 127\\.0\\.0\\.1:${port}: address in use`));
  const noHost = theError(await run(["serve", "-q", "--port=0", "--host=a b"]), 1);
  assertMatch(noHost, /^cannot listen on a b:0: invalid host/);
});

Deno.test("serve names missing permissions", async () => {
  const { stderr, code } = await run(["serve"], { flags: ["--no-prompt", "--allow-read"] });
  assertEquals(code, 2);
  const error = stderr.split("\n").find((line) => line.startsWith("error: "))!;
  assertMatch(error, / run: deno run --allow-read --allow-net=127\.0\.0\.1:8000 \S+cli\.ts serve$/);
});
