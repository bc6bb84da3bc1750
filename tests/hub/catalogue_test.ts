/** The entries of the catalogue, and pulling files whose hash or size is not fully known. */

import { createHash } from "node:crypto";
import { FileError } from "../../src/errors.ts";
import { catalogue, findCatalogueEntry, modelPath, pull } from "../../src/hub/mod.ts";
import { urlOf } from "../../src/hub/catalogue.ts";
import { digestOf, mismatch } from "../../src/hub/digest.ts";
import { fetchFile } from "../../src/hub/fetch_file.ts";
import { fileSource, openWeights } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";
import { sha256, testWeights } from "./models.ts";
import { serveFile } from "./server.ts";

const { bytes, entry } = await testWeights();

/** The id that Git gives a file. */
function gitBlob(content: Uint8Array): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

Deno.test("every entry of the catalogue has one name, an address, a hash and its accuracy", () => {
  assertEquals(new Set(catalogue.map(({ name }) => name)).size, catalogue.length);
  for (const { name, url, sha256, gitBlob, title, accuracy } of catalogue) {
    assertMatch(name, /^[a-z][\w-]+$/);
    assertMatch(url, /^https:\/\/(download\.pytorch\.org|raw\.githubusercontent\.com)\/[\w./-]+$/);
    if (gitBlob === undefined) assertMatch(sha256!, /^[\da-f]{8,64}$/, name);
    else assertMatch(gitBlob, /^[\da-f]{40}$/, name);
    assert(title.endsWith(`: ${accuracy.toFixed(1)} % top-1 accuracy on ImageNet`), title);
    assert(accuracy > 55 && accuracy < 85);
    const inName = /-([\da-f]{8,})\.pth$/.exec(url)?.[1];
    assert(sha256?.startsWith(inName ?? "") ?? true, name);
  }
  assertEquals(findCatalogueEntry("squeezenet")?.bytes, 675_763);
  assertEquals(findCatalogueEntry("resnet18")?.sha256, "f37072fd");
  assertEquals(findCatalogueEntry("vgg"), undefined);
});

Deno.test("a mirror has the files of the catalogue under their own names", () => {
  const alexnet = findCatalogueEntry("alexnet")!;
  for (const mirror of ["https://a.test/models", "https://a.test/models/"]) {
    assertEquals(urlOf(alexnet, mirror), "https://a.test/models/alexnet-owt-7be5be79.pth");
  }
});

Deno.test("digestOf() computes SHA-256 and Git's id", async () => {
  await using folder = await TempFolder.make();
  const path = await folder.write("hello", "hello world\n");
  using file = await Deno.open(path);
  // git hash-object
  assertEquals(await digestOf(file, "gitBlob"), "3b18e512dba79e4c8300dd08aeb37f8e728b8dad");
  assertEquals(await digestOf(file, "sha256"), sha256(new TextEncoder().encode("hello world\n")));
});

Deno.test("mismatch() compares all digits that are known", () => {
  const actual = "7be5be79aa";
  const of = (digits: string) => mismatch({ kind: "sha256", digits }, actual);
  assertEquals(of("7be5be79"), undefined);
  assertEquals(of(actual), undefined);
  assertEquals(of("7be5be78"), "its SHA-256 is 7be5be79aa, not 7be5be78…");
  assertEquals(of(""), "its SHA-256 is 7be5be79aa, not …"); // unknown: no file is right
});

for (
  const [kind, changes, digits] of [
    ["the first digits of its SHA-256", { sha256: sha256(bytes).slice(0, 8) }, sha256(bytes)],
    ["Git's id", { sha256: undefined, gitBlob: gitBlob(bytes) }, gitBlob(bytes)],
  ] as const
) {
  Deno.test(`pull() verifies a file by ${kind}, and stores the whole hash`, async () => {
    await using folder = await TempFolder.make();
    const other = bytes.slice();
    other[other.length >> 1] ^= 1;
    await using server = await serveFile(bytes, { bytes: other }, {});
    const unknownSize = entry(server.url, { bytes: undefined, ...changes });
    const error = await assertRejects(() => pull(unknownSize, folder.path), FileError);
    assertMatch(error.message, /is not the expected file: its (SHA-256|Git blob id) is/);
    const { path, cached } = await pull(unknownSize, folder.path);
    assertEquals([path, cached], [modelPath(folder.path, "tiny", "f16"), false]);
    using file = await openWeights(await fileSource(path));
    const key = changes.sha256 ? "source_sha256" : "source_git_blob";
    assertEquals(file.metadata.get(key), digits);
    assertEquals((await pull(unknownSize, folder.path)).cached, true);
    assertEquals(server.ranges.length, 2);
  });
}

Deno.test("pull() finds the file of an entry on a mirror, and verifies it", async () => {
  await using folder = await TempFolder.make();
  await using server = await serveFile(bytes);
  const elsewhere = entry("https://a.test/weights");
  const mirror = new URL("/", server.url).href;
  const { path } = await pull(elsewhere, folder.path, { mirror });
  using file = await openWeights(await fileSource(path));
  assertEquals(file.metadata.get("source"), server.url);
});

Deno.test("fetchFile() stops when a file of unknown size exceeds the limit", async () => {
  await using folder = await TempFolder.make();
  const digest = { kind: "sha256", digits: sha256(bytes) } as const;
  for (const chunked of [true, false]) {
    await using server = await serveFile(bytes, { chunked });
    const options = { digest, maxBytes: 1e6, retries: 0 };
    const error = await assertRejects(
      () => fetchFile(server.url, `${folder.path}/x`, options),
      FileError,
    );
    const reason = chunked
      ? "has more than 1000000 bytes"
      : `has ${bytes.length} bytes, expected at most 1000000`;
    assertEquals(error.message, `${server.url}: ${reason}`);
  }
});
