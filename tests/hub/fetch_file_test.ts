/** Downloads whose rest is refused keep the bytes so far. */

import { createHash } from "node:crypto";
import { FileError } from "../../src/errors.ts";
import { fetchFile } from "../../src/hub/fetch_file.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";
import { type Behaviour, serveFile } from "./server.ts";

const bytes = Uint8Array.from({ length: 5000 }, (_, i) => i * i);
const begin = bytes.slice(0, 3000);
const digits = createHash("sha256").update(bytes).digest("hex");
const options = { digest: { kind: "sha256", digits }, retries: 0 } as const;

const page = new TextEncoder().encode("<html>Log in</html>");
const login: Behaviour = { bytes: page, ranges: false };
const html = { "content-type": "text/html; charset=utf-8" };

/** Answers, and the size of the file if it is known. */
const refusals: readonly (readonly [what: string, answer: Behaviour, size?: number])[] = [
  ["403", { status: 403 }],
  ["404", { status: 404 }],
  ["407", { status: 407 }],
  ["503", { status: 503 }],
  ["a page of another size", login, bytes.length],
  ["a page in place of a file of unknown size", { ...login, headers: html }],
  ["a page in chunks", { ...login, headers: html, chunked: true }, bytes.length],
];

for (const [what, answer, size] of refusals) {
  Deno.test(`fetchFile() keeps the bytes so far when the answer is ${what}`, async () => {
    await using folder = await TempFolder.make();
    await using server = await serveFile(bytes, answer, {});
    const path = await folder.write("x.part", begin), limits = { ...options, bytes: size };
    await assertRejects(() => fetchFile(server.url, path, limits), FileError);
    assertEquals(await Deno.readFile(path), begin);
    await fetchFile(server.url, path, limits);
    assertEquals(await Deno.readFile(path), bytes);
    assertEquals(server.ranges, Array(2).fill(`bytes=${begin.length}-`));
  });
}

Deno.test("fetchFile() keeps the bytes so far when Deno denies access to the server", async () => {
  await using folder = await TempFolder.make();
  const path = await folder.write("x.part", begin), { fetch } = globalThis;
  globalThis.fetch = () => Promise.reject(new Deno.errors.NotCapable("Requires net access"));
  try {
    await assertRejects(
      () => fetchFile("http://a.test/x", path, options),
      Deno.errors.NotCapable,
    );
  } finally {
    globalThis.fetch = fetch;
  }
  assertEquals(await Deno.readFile(path), begin);
});

Deno.test("fetchFile() deletes a file of which the server sends more bytes than it has", async () => {
  await using folder = await TempFolder.make();
  await using server = await serveFile(bytes, { chunked: true, ranges: false });
  const path = await folder.write("x.part", begin);
  await assertRejects(
    () => fetchFile(server.url, path, { ...options, bytes: 4000 }),
    FileError,
    "has more than 4000 bytes",
  );
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
});
