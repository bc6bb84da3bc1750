/** Pulling weights from servers good and bad: either the right model is there, or nothing is. */

import { createBackend } from "../../src/backend/mod.ts";
import { FileError, PembrokeError } from "../../src/errors.ts";
import {
  cachedModels,
  modelPath,
  pull,
  type PullOptions,
  removeCached,
} from "../../src/hub/mod.ts";
import { loadModel } from "../../src/models/mod.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { published, sha256 } from "./models.ts";
import { type Behaviour, serveFile, type StaticServer } from "./server.ts";

const { bytes, entry } = await published();
const hurried = { backoffMs: 5, retries: 3 };

/** A folder, a server with these behaviours, and pulling from it. */
async function withServer(
  behaviours: Behaviour | readonly Behaviour[],
  body: (context: {
    readonly folder: string;
    readonly server: StaticServer;
    readonly retries: string[];
    pull(options?: PullOptions, changes?: Parameters<typeof entry>[1]): ReturnType<typeof pull>;
  }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  await using server = await serveFile(bytes, ...[behaviours].flat());
  const retries: string[] = [];
  try {
    await body({
      folder,
      server,
      retries,
      pull: (options, changes) =>
        pull(entry(server.url, changes), folder, {
          ...hurried,
          onRetry: (reason) => retries.push(reason),
          ...options,
        }),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What is in the cache. */
async function files(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

/** Loads a pulled model and compares what it says with what the bundled one does. */
async function assertRight(path: string): Promise<void> {
  using backend = await createBackend({ threads: 1 });
  const photo = {
    width: 80,
    height: 70,
    data: Uint8Array.from({ length: 80 * 70 * 3 }, (_, i) => 128 + 100 * Math.sin(i * 0.02)),
  };
  using right = await loadModel({ backend, precision: "f32" });
  using pulled = await loadModel({ backend, weights: path });
  const [expected, found] = [await right.classify(photo), await pulled.classify(photo)];
  assertEquals(found.map(({ label }) => label), expected.map(({ label }) => label));
  for (const [i, { probability }] of found.entries()) {
    assert(Math.abs(probability - expected[i].probability) < 0.02);
  }
}

for (const precision of ["f32", "f16", "int8"] as const) {
  Deno.test(`pull() downloads, verifies and stores weights in ${precision}`, () =>
    withServer({}, async ({ folder, server, pull }) => {
      const seen: [number, number | undefined][] = [];
      const onProgress = (done: number, total: number | undefined) => seen.push([done, total]);
      const { path, cached } = await pull({ precision, onProgress });
      assertEquals([path, cached], [modelPath(folder, "tiny", precision), false]);
      assertEquals(await files(folder), [`tiny-${precision}.safetensors`]);
      await assertRight(path);
      assertEquals(seen.at(-1), [bytes.length, bytes.length]);
      assert(seen.every(([done], i) => i === 0 || done > seen[i - 1][0]));

      assertEquals(await pull({ precision }), { path, cached: true });
      assertEquals(server.asked.length, 1); // what is there is not fetched again
      const [model] = await cachedModels(folder, "tiny");
      assertEquals([model.precision, model.bytes], [precision, (await Deno.stat(path)).size]);
      assertEquals(await removeCached(folder, "tiny"), [path]);
      assertEquals(await files(folder), []);
    }));
}

Deno.test("pull() goes on where a connection was cut, at any byte", async () => {
  const cuts = [0, 1, 7, 4096, 1 << 18, (1 << 20) + 1, bytes.length >> 1, bytes.length - 1];
  for (const cutAfter of cuts) {
    await withServer([{ cutAfter }, {}], async ({ server, retries, pull }) => {
      const { path } = await pull();
      // how much arrived before the cut was seen is the system's to say
      assertEquals([server.asked.length, retries.length], [2, 1]);
      assertMatch(server.asked[1] ?? "bytes=0-", /^bytes=\d+-$/);
      await assertRight(path);
    });
  }
});

Deno.test("pull() gives up after cuts that bring nothing, and the next one goes on", () =>
  withServer(
    [{ cutAfter: 3 << 20 }, { cutAfter: 0 }, { cutAfter: 0 }, {}],
    async ({ folder, server, pull }) => {
      const error = await assertRejects(() => pull({ retries: 2 }), FileError);
      assertMatch(error.message, /; \d\.\d MB have arrived, run it again to go on$/);
      const [part] = await files(folder);
      const { size } = await Deno.stat(`${folder}/${part}`);
      assert(size > 0 && size <= 3 << 20, `${size}`);
      await assertRight((await pull()).path);
      assertEquals(server.asked.at(-1), `bytes=${size}-`);
    },
  ));

Deno.test("pull() starts again where a server does not know ranges, or sends others", async () => {
  const bad: Behaviour[] = [{ ranges: false }, { wrongStart: true }, { ranges: true, status: 206 }];
  for (const second of bad) {
    await withServer([{ cutAfter: 5 << 20 }, second, {}], async ({ pull }) => {
      await assertRight((await pull()).path);
    });
  }
});

Deno.test("pull() takes a body of unknown length", () =>
  withServer([{ chunked: true }], async ({ pull }) => {
    await assertRight((await pull()).path);
  }));

Deno.test("pull() refuses a file with another hash, and leaves nothing", async () => {
  const other = bytes.slice();
  other[other.length >> 1] ^= 1;
  await withServer([{ bytes: other }], async ({ folder, server, pull }) => {
    const error = await assertRejects(() => pull(), FileError);
    const reason = `is not the file wanted: its SHA-256 is ${sha256(other)}, not ${sha256(bytes)}`;
    assertEquals(error.message, `${server.url}: ${reason}`);
    assertEquals([await files(folder), server.asked.length], [[], 1]);
  });
});

Deno.test("pull() begins once more when pieces of two files have met", async () => {
  const other = bytes.map((byte) => byte ^ 1);
  await withServer([{ bytes: other, cutAfter: 1 << 20 }, {}, {}], async ({ retries, pull }) => {
    await assertRight((await pull()).path);
    assertEquals(retries.at(-1), "the pieces do not make the file wanted");
  });
});

Deno.test("pull() refuses a file of another size before it is fetched", () =>
  withServer([{ bytes: bytes.slice(0, -1) }], async ({ folder, server, pull }) => {
    const message = `has ${bytes.length - 1} bytes, ${bytes.length} are expected`;
    await assertRejects(() => pull(), FileError, `${server.url}: ${message}`);
    assertEquals([await files(folder), server.asked.length], [[`tiny-${part}`], 1]);
  }));

const part = `${sha256(bytes).slice(0, 16)}.part`;

Deno.test("pull() asks once for what is not there, and again when a server stumbles", async () => {
  for (const status of [401, 403, 404, 410]) {
    await withServer([{ status }], async ({ server, pull }) => {
      await assertRejects(() => pull(), FileError, `the server answered ${status}`);
      assertEquals(server.asked.length, 1);
    });
  }
  for (const status of [429, 500, 503]) {
    await withServer([{ status, headers: { "retry-after": "0" } }, {}], async (context) => {
      await assertRight((await context.pull()).path);
      assertMatch(context.retries[0], new RegExp(`^the server answered ${status}`));
    });
  }
});

Deno.test("pull() gives up on a server that falls silent, in one line", () =>
  withServer([{ stallAfter: 3000 }], async ({ server, retries, pull }) => {
    const error = await assertRejects(() => pull({ retries: 1, stallMs: 1500 }), FileError);
    assertEquals(
      error.message,
      `${server.url}: no data received for 1.5 s; 0.0 MB have arrived, run it again to go on`,
    );
    assertEquals(retries[0], "no data received for 1.5 s");
  }));

Deno.test("pull() says who is not there", async () => {
  const { url } = await (async () => {
    await using server = await serveFile(bytes);
    return server;
  })();
  await withServer({}, async ({ pull }) => {
    const error = await assertRejects(() => pull({ url, retries: 1 }), FileError);
    assertMatch(error.message, new RegExp(`^${url}: .*Connection refused`));
  });
});

Deno.test("pull() ends with the signal, and what has arrived stays", () =>
  withServer({}, async ({ folder, server, pull }) => {
    const abort = new AbortController();
    const onProgress = (done: number) => done > 1 << 20 && abort.abort("enough");
    const reason = await pull({ signal: abort.signal, onProgress }).catch((reason) => reason);
    assertEquals([reason, await files(folder)], ["enough", [`tiny-${part}`]]);
    await assertRight((await pull()).path);
    assertMatch(server.asked[1]!, /^bytes=[1-9]/);
  }));

Deno.test("pull() ends with the signal wherever it is, with the signal's own reason", async () => {
  const reasonOf = (behaviour: Behaviour, options: (abort: () => void) => PullOptions) =>
    withServer(behaviour, async ({ pull }) => {
      const controller = new AbortController();
      const abort = () => controller.abort();
      const error = await pull({ ...options(abort), signal: controller.signal })
        .catch((reason) => reason);
      assert(error instanceof DOMException && error.name === "AbortError", `${error}`);
    });
  await reasonOf({}, (abort) => ({ onProgress: abort }));
  await reasonOf({}, (abort) => ({ onConvert: abort }));
  // not after the minute that the server asks for
  const busy = { status: 503, headers: { "retry-after": "60" } };
  await reasonOf(busy, (abort) => ({ onRetry: abort }));
  await withServer({ stallAfter: 0 }, async ({ pull }) => {
    const signal = AbortSignal.timeout(50);
    const error = await pull({ signal, stallMs: 5000 }).catch((reason) => reason);
    assertEquals(error.name, "TimeoutError");
  });
});

Deno.test("while a model is pulled, others wait, may stop waiting, and cannot delete it", () => {
  const finish = Promise.withResolvers<void>();
  return withServer({ hold: finish.promise }, async ({ folder, pull }) => {
    const waiting = new AbortController(), first = Promise.withResolvers<void>();
    const pulling = pull({ onProgress: () => first.resolve() });
    await first.promise;
    const stopped = pull({ signal: waiting.signal, onWait: () => waiting.abort() });
    assertEquals((await stopped.catch((reason) => reason)).name, "AbortError");
    await assertRejects(() => removeCached(folder, "tiny"), PembrokeError, "tiny is being pulled");
    finish.resolve();
    await assertRight((await pulling).path);
  });
});

Deno.test("pull() takes another file from a mirror only if its hash is given", async () => {
  const other = bytes.slice();
  other[other.length - 1] ^= 1;
  await withServer([{ bytes: other }], async ({ server, pull }) => {
    await assertRejects(() => pull({ url: server.url }), FileError, "is not the file wanted");
    const { path } = await pull({ url: server.url, sha256: sha256(other).toUpperCase() });
    await assertRight(path);
    // and what was made of another file is not taken for the entry's own
    await assertRejects(() => pull({ url: server.url }), FileError, "is not the file wanted");
  });
});

Deno.test("pull() of a file of unknown size that has arrived whole fetches nothing again", async () => {
  await withServer({}, async ({ folder, server, pull }) => {
    const mirror = { url: server.url, sha256: sha256(bytes) };
    await Deno.writeFile(`${folder}/tiny-${part}`, bytes);
    await assertRight((await pull(mirror, { sha256: "0".repeat(64) })).path);
    assertEquals(server.asked, [`bytes=${bytes.length}-`]);
  });
});

Deno.test("pull() refuses what is verified and not the network's weights", async () => {
  const page = new TextEncoder().encode("<!doctype html>Log in");
  const changes = { bytes: page.length, sha256: sha256(page) };
  await withServer([{ bytes: page }], async ({ folder, pull }) => {
    await assertRejects(() => pull({}, changes), FileError, "is text, not weights");
    assertEquals(await files(folder), []);
  });
  await withServer({}, async ({ folder, pull }) => {
    await assertRejects(() => pull({}, { architecture: "alexnet" }), FileError, "not weights");
    assertEquals(await files(folder), []);
  });
});

Deno.test("two pulls at once fetch once", () => {
  const waits = Promise.withResolvers<void>();
  return withServer([{ hold: waits.promise }], async ({ server, pull }) => {
    const both = await Promise.all([0, 1].map(() => pull({ onWait: waits.resolve })));
    assertEquals(both.map(({ cached }) => cached).sort(), [false, true]);
    assertEquals(server.asked.length, 1);
  });
});

Deno.test("what has arrived for another precision stays when a model is in the cache", () =>
  withServer([{}, { cutAfter: 5 << 20 }, { cutAfter: 0 }, {}], async ({ folder, server, pull }) => {
    const { path } = await pull({ precision: "int8" });
    await assertRejects(() => pull({ precision: "f32", retries: 0 }), FileError);
    const size = async () => (await Deno.stat(`${folder}/tiny-${part}`)).size;
    const arrived = await size();
    assertEquals(await pull({ precision: "int8" }), { path, cached: true });
    assertEquals(await size(), arrived);
    await assertRejects(() => pull({ precision: "f32", retries: 0 }), FileError);
    assertEquals(server.asked.at(-1), `bytes=${arrived}-`);
  }));

Deno.test("a file in the cache that is damaged is fetched again", () =>
  withServer({}, async ({ pull }) => {
    const { path } = await pull();
    await Deno.truncate(path, 1 << 20);
    assertEquals(await pull(), { path, cached: false });
    await assertRight(path);
  }));
