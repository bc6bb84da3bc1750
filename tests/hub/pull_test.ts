/** Tests pulling from servers that work or fail: the result is the correct model, or none. */

import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import {
  cachedModels,
  modelPath,
  pull,
  type PullOptions,
  removeCached,
} from "../../src/hub/mod.ts";
import { checkedSource } from "../../src/hub/checksum.ts";
import { loadModel } from "../../src/models/mod.ts";
import { bytesSource, fileSource, openWeights } from "../../src/weights/mod.ts";
import { assert, assertAllClose, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";
import { equalBytes, sha256, testWeights } from "./models.ts";
import { type Behaviour, type FileServer, serveFile } from "./server.ts";

const { model: original, bytes, entry } = await testWeights();
const fastRetries = { backoffMs: 5, retries: 3 };

/**
 * Runs with a temporary cache, a server with these behaviours, and a function that pulls from it.
 */
async function withServer(
  behaviours: Behaviour | readonly Behaviour[],
  body: (context: {
    readonly folder: string;
    readonly server: FileServer;
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
          ...fastRetries,
          onRetry: (reason) => retries.push(reason),
          ...options,
        }),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The files in the cache. */
async function filesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

/** Asserts that a pulled model classifies, with the weights of the original or rounded ones. */
async function assertCorrect(path: string): Promise<void> {
  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend, weights: original });
  using pulled = await loadModel({ backend, weights: path, precision: "f32" });
  const parameters = pulled.stateDict();
  for (const [name, { tensor }] of model.stateDict()) {
    const expected = await tensor!.read(), actual = await parameters.get(name)!.tensor!.read();
    const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    assertAllClose(actual, expected, { abs: largest / 60 + 1e-6, name }); // two steps of int8
  }
  const photo = { width: 80, height: 70, data: new Uint8Array(80 * 70 * 3) };
  assertEquals((await pulled.classify(photo)).length, 5);
}

for (const precision of ["f32", "f16", "int8"] as const) {
  Deno.test(`pull() downloads, verifies and stores weights in ${precision}`, () =>
    withServer({}, async ({ folder, server, pull }) => {
      const seen: [number, number | undefined][] = [];
      const onProgress = (done: number, total: number | undefined) => seen.push([done, total]);
      const { path, cached } = await pull({ precision, onProgress });
      assertEquals([path, cached], [modelPath(folder, "tiny", precision), false]);
      assertEquals(await filesIn(folder), [`tiny-${precision}.safetensors`]);
      await assertCorrect(path);
      assertEquals(seen.at(-1), [bytes.length, bytes.length]);
      assert(seen.every(([done], i) => i === 0 || done > seen[i - 1][0]));

      assertEquals(await pull({ precision }), { path, cached: true });
      assertEquals(server.ranges.length, 1); // not downloaded again
      const [model] = await cachedModels(folder, "tiny");
      assertEquals([model.precision, model.bytes], [precision, (await Deno.stat(path)).size]);
      assertEquals(await removeCached(folder, "tiny"), [path]);
      assertEquals(await filesIn(folder), []);
    }));
}

Deno.test("pull() resumes after a lost connection, at any byte", async () => {
  const cuts = [0, 1, 7, 4096, 1 << 18, (1 << 20) + 1, bytes.length >> 1, bytes.length - 1];
  for (const cutAfter of cuts) {
    await withServer([{ cutAfter }, {}], async ({ server, retries, pull }) => {
      const { path } = await pull();
      // How many bytes arrive before the error depends on the operating system.
      assertEquals([server.ranges.length, retries.length], [2, 1]);
      assertMatch(server.ranges[1] ?? "bytes=0-", /^bytes=\d+-$/);
      await assertCorrect(path);
    });
  }
});

Deno.test("pull() fails after retries without progress, and the next one resumes", () =>
  withServer(
    [{ cutAfter: 1 << 20 }, { cutAfter: 0 }, { cutAfter: 0 }, {}],
    async ({ folder, server, pull }) => {
      const error = await assertRejects(() => pull({ retries: 2 }), FileError);
      assertMatch(error.message, /; \d\.\d MB were downloaded, run it again to resume$/);
      const [part] = await filesIn(folder);
      const { size } = await Deno.stat(`${folder}/${part}`);
      assert(size > 0 && size <= 1 << 20, `${size}`);
      await assertCorrect((await pull()).path);
      assertEquals(server.ranges.at(-1), `bytes=${size}-`);
    },
  ));

Deno.test("pull() starts over if the server ignores ranges or sends other ones", async () => {
  const bad: Behaviour[] = [{ ranges: false }, { wrongStart: true }, { ranges: true, status: 206 }];
  for (const second of bad) {
    await withServer([{ cutAfter: 2 << 20 }, second, {}], async ({ pull }) => {
      await assertCorrect((await pull()).path);
    });
  }
});

Deno.test("pull() downloads a file of unknown size", () =>
  withServer([{ chunked: true }], async ({ pull }) => {
    await assertCorrect((await pull()).path);
  }));

Deno.test("pull() rejects a file with a wrong hash, and deletes it", async () => {
  const other = bytes.slice();
  other[other.length >> 1] ^= 1;
  await withServer([{ bytes: other }], async ({ folder, server, pull }) => {
    const error = await assertRejects(() => pull(), FileError);
    const reason = `is not the expected file: its SHA-256 is ${sha256(other)}, not ${
      sha256(bytes)
    }`;
    assertEquals(error.message, `${server.url}: ${reason}`);
    assertEquals([await filesIn(folder), server.ranges.length], [[], 1]);
  });
});

Deno.test("pull() starts over if a resumed download mixes two files", async () => {
  const other = bytes.map((byte) => byte ^ 1);
  await withServer([{ bytes: other, cutAfter: 1 << 20 }, {}, {}], async ({ retries, pull }) => {
    await assertCorrect((await pull()).path);
    assertEquals(retries.at(-1), "the resumed file has the wrong SHA-256");
  });
});

Deno.test("pull() rejects a file of a wrong size before downloading it", () =>
  withServer([{ bytes: bytes.slice(0, -1) }], async ({ folder, server, pull }) => {
    const message = `has ${bytes.length - 1} bytes, expected ${bytes.length}`;
    await assertRejects(() => pull(), FileError, `${server.url}: ${message}`);
    assertEquals([await filesIn(folder), server.ranges.length], [[], 1]);
  }));

const part = `${sha256(bytes).slice(0, 16)}.part`;

Deno.test("pull() retries temporary server errors, but not missing files", async () => {
  for (const status of [401, 403, 404, 410]) {
    await withServer([{ status }], async ({ server, pull }) => {
      await assertRejects(() => pull(), FileError, `the server answered ${status}`);
      assertEquals(server.ranges.length, 1);
    });
  }
  for (const status of [429, 500, 503]) {
    await withServer([{ status, headers: { "retry-after": "0" } }, {}], async (context) => {
      await assertCorrect((await context.pull()).path);
      assertMatch(context.retries[0], new RegExp(`^the server answered ${status}`));
    });
  }
});

Deno.test("pull() times out when a server stops sending", () =>
  withServer([{ stallAfter: 3000 }], async ({ server, retries, pull }) => {
    const error = await assertRejects(() => pull({ retries: 1, stallMs: 300 }), FileError);
    assertEquals(
      error.message,
      `${server.url}: no data received for 0.3 s; 0.0 MB were downloaded, run it again to resume`,
    );
    assertEquals(retries[0], "no data received for 0.3 s");
  }));

Deno.test("pull() names a server that refuses connections", async () => {
  const { url } = await (async () => {
    await using server = await serveFile(bytes);
    return server;
  })();
  await withServer({}, async ({ pull }) => {
    const error = await assertRejects(() => pull({ url, retries: 1 }), FileError);
    assertMatch(error.message, new RegExp(`^${url}: .*refused`));
  });
});

Deno.test("pull() can be aborted, and the next one resumes", () =>
  withServer({}, async ({ folder, server, pull }) => {
    const abort = new AbortController();
    const onProgress = (done: number) => done > 1 << 20 && abort.abort("enough");
    const reason = await pull({ signal: abort.signal, onProgress }).catch((reason) => reason);
    assertEquals([reason, await filesIn(folder)], ["enough", [`tiny-${part}`]]);
    await assertCorrect((await pull()).path);
    assertMatch(server.ranges[1]!, /^bytes=[1-9]/);
  }));

Deno.test("pull() rejects with the reason of the signal at every stage", async () => {
  const reasonOf = (behaviour: Behaviour, options: (abort: () => void) => PullOptions) =>
    withServer(behaviour, async ({ pull }) => {
      // as errors of the operating system have one, which are those of the cache
      const reason = Object.assign(new Error("stop"), { code: "ABORTED" });
      const controller = new AbortController();
      const abort = () => controller.abort(reason);
      const error = await pull({ ...options(abort), signal: controller.signal })
        .catch((reason) => reason);
      assert(error === reason, `${error}`);
    });
  await reasonOf({}, (abort) => ({ onProgress: abort }));
  await reasonOf({}, (abort) => ({ onConvert: abort }));
  // At once, although the server asks for a delay of one minute.
  const busy = { status: 503, headers: { "retry-after": "60" } };
  await reasonOf(busy, (abort) => ({ onRetry: abort }));
  await withServer({ stallAfter: 0 }, async ({ pull }) => {
    const signal = AbortSignal.timeout(50);
    const error = await pull({ signal, stallMs: 5000 }).catch((reason) => reason);
    assertEquals(error.name, "TimeoutError");
  });
});

Deno.test("while a model is downloaded, other pulls wait and can be aborted, and removeCached() fails", () => {
  const resume = Promise.withResolvers<void>();
  return withServer({ hold: resume.promise }, async ({ folder, pull }) => {
    const abort = new AbortController(), started = Promise.withResolvers<void>();
    const first = pull({ onProgress: () => started.resolve() });
    await started.promise;
    const second = pull({ signal: abort.signal, onWait: () => abort.abort() });
    assertEquals((await second.catch((reason) => reason)).name, "AbortError");
    await assertRejects(
      () => removeCached(folder, "tiny"),
      PembrokeError,
      "tiny is being downloaded",
    );
    resume.resolve();
    await assertCorrect((await first).path);
  });
});

Deno.test("pull() downloads another file from a mirror only if its hash is given", async () => {
  const other = bytes.slice();
  other[other.length - 1] ^= 1;
  await withServer([{ bytes: other }], async ({ server, pull }) => {
    await assertRejects(() => pull({ url: server.url }), FileError, "is not the expected file");
    const { path } = await pull({ url: server.url, sha256: sha256(other).toUpperCase() });
    await assertCorrect(path);
    // The other file in the cache does not count as the entry's own.
    await assertRejects(() => pull({ url: server.url }), FileError, "is not the expected file");
  });
});

Deno.test("pull() refuses a part of a hash, and options that it does not know", async () => {
  await withServer({}, async ({ folder, server, pull }) => {
    await pull(); // so that an empty hash would match
    for (const options of [{ sha256: "" }, { sha256: sha256(bytes).slice(1) }]) {
      await assertRejects(() => pull(options), ArgumentError, "64 hexadecimal digits");
    }
    const options = { precision: "bf16" } as unknown as PullOptions;
    await assertRejects(() => pull(options), ArgumentError, "precision is");
    const unknown = { sha1: "0" } as PullOptions;
    await assertRejects(() => pull(unknown), ArgumentError, 'an option is "sha1"');
    assertEquals([(await filesIn(folder)).length, server.ranges.length], [1, 1]);
  });
});

Deno.test("pull() downloads nothing again if a file of unknown size is complete", async () => {
  await withServer({}, async ({ folder, server, pull }) => {
    const mirror = { url: server.url, sha256: sha256(bytes) };
    await Deno.writeFile(`${folder}/tiny-${part}`, bytes);
    await assertCorrect((await pull(mirror, { sha256: "0".repeat(64) })).path);
    assertEquals(server.ranges, [`bytes=${bytes.length}-`]);
  });
});

Deno.test("pull() rejects a verified file that is not weights, or those of another network", async () => {
  const page = new TextEncoder().encode("<!doctype html>Log in");
  const changes = { bytes: page.length, sha256: sha256(page) };
  await withServer([{ bytes: page }], async ({ folder, pull }) => {
    await assertRejects(() => pull({}, changes), FileError, "is text, not weights");
    assertEquals(await filesIn(folder), []);
  });
  await withServer({}, async ({ folder, pull }) => {
    await assertRejects(() => pull({}, { architecture: "alexnet" }), FileError, "not weights");
    assertEquals(await filesIn(folder), []);
  });
});

Deno.test("pull() downloads once for two concurrent calls", () => {
  const waiting = Promise.withResolvers<void>();
  return withServer([{ hold: waiting.promise }], async ({ server, pull }) => {
    const both = await Promise.all([0, 1].map(() => pull({ onWait: waiting.resolve })));
    assertEquals(both.map(({ cached }) => cached).sort(), [false, true]);
    assertEquals(server.ranges.length, 1);
  });
});

Deno.test("pull() of a cached model keeps an interrupted download for another precision", () =>
  withServer([{}, { cutAfter: 2 << 20 }, { cutAfter: 0 }, {}], async ({ folder, server, pull }) => {
    const { path } = await pull({ precision: "int8" });
    await assertRejects(() => pull({ precision: "f32", retries: 0 }), FileError);
    const size = async () => (await Deno.stat(`${folder}/tiny-${part}`)).size;
    const downloaded = await size();
    assertEquals(await pull({ precision: "int8" }), { path, cached: true });
    assertEquals(await size(), downloaded);
    await assertRejects(() => pull({ precision: "f32", retries: 0 }), FileError);
    assertEquals(server.ranges.at(-1), `bytes=${downloaded}-`);
  }));

Deno.test("pull() replaces a damaged file in the cache", () =>
  withServer({}, async ({ pull }) => {
    const { path } = await pull();
    await Deno.truncate(path, 1 << 20);
    assertEquals(await pull(), { path, cached: false });
    await assertCorrect(path);
  }));

Deno.test("pull() replaces a cached file with a flipped bit, wherever it is", () =>
  withServer({}, async ({ retries, pull }) => {
    const { path } = await pull();
    const good = await Deno.readFile(path);
    for (const share of [0, 0.001, 0.3, 0.9999999]) {
      const bad = good.slice(), at = Math.max(16, Math.floor(share * bad.length));
      bad[at] ^= 1;
      await Deno.writeFile(path, bad);
      const { cached } = await pull();
      assertEquals(cached, false, `${at}`);
      assertEquals(retries.pop(), "the cached file is damaged");
      assert(equalBytes(await Deno.readFile(path), good));
    }
    assertEquals((await pull()).cached, true);
  }));

Deno.test("checkedSource() finds a flipped bit while a file is loaded", () =>
  withServer({}, async ({ pull }) => {
    const { path } = await pull();
    const good = await Deno.readFile(path);
    const check = async (bytes: Uint8Array) => {
      const source = await checkedSource(bytesSource(bytes, "model"));
      using file = await openWeights(source);
      for (const name of [...file.order].reverse()) await file.read(name, () => {});
      await source.finish();
    };
    await check(good);
    const bad = good.slice();
    bad[bad.length - 5] ^= 64;
    await assertRejects(() => check(bad), FileError, "model: is damaged: its checksum is wrong");
  }));

Deno.test({
  name: "pull() does not follow links in the cache",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    for (const link of [Deno.symlink, Deno.link]) {
      await withServer({}, async ({ folder, pull }) => {
        await using other = await TempFolder.make();
        const victim = await other.write("victim", "precious");
        await link(victim, `${folder}/tiny-${part}`);
        await assertCorrect((await pull()).path);
        assertEquals(await Deno.readTextFile(victim), "precious");
        assertEquals((await filesIn(folder)).length, 1);
      });
    }
    await withServer({}, async ({ folder, pull }) => {
      await Deno.symlink(`${folder}/elsewhere`, `${folder}/tiny-${part}`);
      await pull();
      assertEquals((await filesIn(folder)).length, 1);
    });
  },
});

Deno.test("pull() leaves no file when the server has none", async () => {
  await withServer([{ status: 404 }], async ({ folder, pull }) => {
    await assertRejects(() => pull(), FileError, "404");
    assertEquals(await filesIn(folder), []);
  });
  await withServer([{ status: 416 }], async ({ folder, pull }) => {
    await assertRejects(() => pull(), FileError, "416");
    assertEquals(await filesIn(folder), []);
  });
  await withServer([{ status: 503 }], async ({ folder, pull }) => {
    await assertRejects(() => pull({ retries: 0 }), FileError, "503");
    assertEquals(await filesIn(folder), []);
  });
});

Deno.test("pull() fails when a server sends a byte now and then", () =>
  withServer([{ trickleMs: 5 }], async ({ retries, pull }) => {
    await assertRejects(
      () => pull({ retries: 1, stallMs: 200 }),
      FileError,
      "the server sends less than 1024 bytes per second",
    );
    assertEquals(retries, ["the server sends less than 1024 bytes per second"]);
  }));

Deno.test("pull() shows no password, and stores none", () =>
  withServer([{}, { status: 404 }], async ({ server, pull }) => {
    const url = server.url.replace("http://", "http://ada:secret@");
    const { path } = await pull({ url });
    using file = await openWeights(await fileSource(path));
    assertEquals(file.metadata.get("source"), server.url.replace("http://", "http://***@"));
    const { message } = await assertRejects(() => pull({ url, precision: "f32" }), FileError);
    assert(!message.includes("secret") && message.includes("***@"), message);
  }));
