/** The model without --model and --weights, if none was pulled: it is downloaded once, or not. */

import { downloadOnce } from "../../src/cli/download_once.ts";
import { fileSource, openWeights } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";
import { testWeights } from "../hub/models.ts";
import { type Behaviour, type FileServer, serveFile } from "../hub/server.ts";
import { fixture, run, TempFolder, theError } from "./run.ts";

const photo = fixture("models/tiles.png");
const command = "deno run -A cli.ts pull squeezenet";

/** Runs the command on a photo, and returns why it used the bundled model. */
async function reasonOf(
  cache: string,
  { mirror, flags, args = [] }: { mirror?: string; flags?: string[]; args?: string[] } = {},
): Promise<string> {
  const env = { PEMBROKE_CACHE: cache, ...mirror && { PEMBROKE_MIRROR: mirror } };
  const { code, stderr } = await run([...args, photo], { env, ...flags && { flags } });
  const [model, hint, ...rest] = stderr.trimEnd().split("\n");
  assertEquals([code, rest], [0, []], stderr);
  assertMatch(model, /^resnet-tiny int8, bundled, /);
  const start = `200 classes; for ImageNet's 1000, run: ${command} (`;
  assert(hint.startsWith(start) && hint.endsWith(")"), hint);
  return hint.slice(start.length, -1);
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

const failed = ".squeezenet.pembroke-failed";

Deno.test("a download that fails is remembered for a day, and the bundled model is used", async () => {
  await using folder = await TempFolder.make();
  await using server = await serveFile(new Uint8Array(3), { status: 404 });
  const mirror = new URL("/", server.url).href, cache = `${folder.path}/new`;
  const first = await reasonOf(cache, { mirror });
  assertEquals(first, "download failed: the server answered 404 Not Found");
  assertEquals(await names(cache), [failed]);
  const again = "not downloaded: the last attempt failed less than a day ago";
  assertEquals(await reasonOf(cache, { mirror }), again);
  assertEquals(server.ranges.length, 1);

  const dayAgo = Date.now() / 1000 - 25 * 60 * 60;
  await Deno.utime(`${cache}/${failed}`, dayAgo, dayAgo);
  assertEquals(await reasonOf(cache, { mirror }), first);
  assertEquals(server.ranges.length, 2);
});

Deno.test("a refused connection, a wrong file and a cache that cannot be written are failures", async () => {
  await using folder = await TempFolder.make();
  const closed = await serveFile(new Uint8Array(3));
  await closed[Symbol.asyncDispose]();
  assertMatch(
    await reasonOf(`${folder.path}/a`, { mirror: new URL("/", closed.url).href }),
    /^download failed: .*refused/,
  );
  await using server = await serveFile(new Uint8Array(3));
  const mirror = new URL("/", server.url).href;
  const reason = "download failed: has 3 bytes, expected 675763";
  assertEquals(await reasonOf(`${folder.path}/b`, { mirror }), reason);
  const file = await folder.write("file", "");
  assertMatch(
    await reasonOf(`${file}/cache`, { mirror }),
    /^download failed: cannot write to the cache/,
  );
  assertEquals(server.ranges.length, 1);
});

Deno.test("nothing is downloaded with --offline, for a named model, or without permission", async () => {
  await using folder = await TempFolder.make();
  await using server = await serveFile(new Uint8Array(3));
  const mirror = new URL("/", server.url).href, cache = `${folder.path}/new`;
  assertEquals(
    await reasonOf(cache, { mirror, args: ["--offline"] }),
    "not downloaded: --offline",
  );
  const env = { PEMBROKE_CACHE: cache, PEMBROKE_MIRROR: mirror };
  for (const args of [["-m", "alexnet-tiny", photo], ["-m", "alexnet-tiny", "--random", photo]]) {
    assertEquals((await run(args, { env })).code, 0);
  }
  for (const name of ["alexnet", "squeezenet"]) {
    assertMatch(theError(await run(["-m", name, photo], { env }), 2), / is not in the cache; /);
  }
  const { host } = new URL(mirror);
  const flags = ["--no-prompt", "--allow-read", "--allow-env"];
  const net = `--allow-net=${host}`;
  for (
    const [granted, missing] of [
      [[], `--allow-write and ${net}`],
      [["--allow-write"], net],
      [[net], "--allow-write"],
    ] as const
  ) {
    assertEquals(
      await reasonOf(cache, { mirror, flags: [...flags, ...granted] }),
      `not downloaded: needs ${missing}`,
    );
  }
  assertEquals([server.ranges.length, await names(folder.path)], [0, []]);
});

Deno.test("an address of a mirror that is no URL is wrong usage", async () => {
  await using folder = await TempFolder.make();
  const env = { PEMBROKE_CACHE: folder.path, PEMBROKE_MIRROR: "mirror.test" };
  const expected = 'PEMBROKE_MIRROR is "mirror.test", must be an http or https URL';
  for (const args of [[photo], ["pull", "squeezenet"]]) {
    assertEquals(theError(await run(args, { env }), 2), expected);
  }
});

/** Runs with a server of a small model, a cache, and a function that downloads the model once. */
async function withModel(
  behaviour: Behaviour,
  body: (context: {
    readonly folder: string;
    readonly server: FileServer;
    download(firstByteMs?: number): ReturnType<typeof downloadOnce>;
  }) => Promise<void>,
): Promise<void> {
  const { bytes, entry } = await testWeights();
  await using folder = await TempFolder.make();
  await using server = await serveFile(bytes, behaviour);
  const { path } = folder, model = entry(server.url);
  const options = (firstByteMs?: number) => ({ quiet: true, firstByteMs });
  await body({
    folder: path,
    server,
    download: (firstByteMs) => downloadOnce(model, { folder: path }, options(firstByteMs)),
  });
}

Deno.test("a download is stored in the cache", () =>
  withModel({}, async ({ folder, download }) => {
    const path = `${folder}/tiny-f16.safetensors`;
    assertEquals(await download(), { path });
    using file = await openWeights(await fileSource(path));
    assertEquals(file.metadata.get("architecture"), "squeezenet1_1");
    assertEquals(await names(folder), ["tiny-f16.safetensors"]);
  }));

Deno.test("a server that does not answer does not keep the user waiting", () =>
  withModel({ stallAfter: 0 }, async ({ folder, download }) => {
    const start = performance.now();
    assertEquals(await download(100), { reason: "download failed: no data received for 0.1 s" });
    assert(performance.now() - start < 1900); // without the option it would take 2 s
    assertEquals(await names(folder), [".tiny.pembroke-failed"]);
  }));

Deno.test("a slow download continues as long as data arrives", () =>
  withModel({ pauseMs: 160 }, async ({ folder, download }) => {
    const start = performance.now();
    assertEquals(await download(1000), { path: `${folder}/tiny-f16.safetensors` });
    assert(performance.now() - start > 1100);
  }));
