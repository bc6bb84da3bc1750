/** Pulls that are killed, compete, or find no room: never a wrong model, and the next one finishes. */

import { fileURLToPath } from "node:url";
import { FileError } from "../../src/errors.ts";
import { modelPath, pull } from "../../src/hub/mod.ts";
import { fileSource, openWeights } from "../../src/weights/mod.ts";
import { assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { published } from "./models.ts";
import { serveFile } from "./server.ts";

const { bytes, entry } = await published();
const program = fileURLToPath(new URL("pull_program.ts", import.meta.url));

function start(url: string, folder: string): Deno.ChildProcess {
  const args = ["run", "-A", "--quiet", program, url, folder];
  return new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped" }).spawn();
}

async function outcome(process: Deno.ChildProcess): Promise<string> {
  const { stdout, stderr } = await process.output();
  return new TextDecoder().decode(stdout).trim().split("\n").at(-1) +
    new TextDecoder().decode(stderr);
}

/** All values of a file's tensors that a sum can tell apart; undefined where there is no file. */
async function fingerprint(path: string): Promise<string | undefined> {
  try {
    using file = await openWeights(await fileSource(path));
    let sum = 0;
    for (const name of file.order) {
      await file.read(name, (values) => values.forEach((value, i) => sum += value * (1 + i % 7)));
    }
    return `${file.order.length} ${sum}`;
  } catch (error) {
    if (error instanceof FileError && error.reason === "no such file") return undefined;
    throw error;
  }
}

Deno.test("a pull that is killed at any moment leaves the right model or none", async () => {
  const reference = await Deno.makeTempDir(), folder = await Deno.makeTempDir();
  await using server = await serveFile(bytes, { pauseMs: 2 });
  try {
    const right = await fingerprint(
      (await pull(entry(server.url), reference, { precision: "int8" })).path,
    );
    const path = modelPath(folder, "tiny", "int8");
    // as long as a whole pull takes behind its first line
    for (let round = 0, longest = 400; round < 50; round++) {
      const process = start(server.url, folder);
      const lines = process.stdout.getReader();
      await lines.read();
      await new Promise((resolve) => setTimeout(resolve, longest * (round % 10) / 9));
      try {
        process.kill("SIGKILL");
      } catch {
        longest *= 0.9; // it was done before
      }
      await Promise.all([process.status, process.stderr.cancel()]);
      const found = await fingerprint(path);
      if (found !== undefined) {
        assertEquals(found, right);
        await Deno.remove(path);
      }
    }
    assertEquals(await outcome(start(server.url, folder)), "pulled");
    assertEquals(await fingerprint(path), right);
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    assertEquals(names.sort(), ["tiny-int8.safetensors"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(reference, { recursive: true });
  }
});

Deno.test("of two processes that pull the same, one waits for the other", async () => {
  const folder = await Deno.makeTempDir();
  await using server = await serveFile(bytes, { pauseMs: 5 });
  try {
    const both = await Promise.all([0, 1].map(() => outcome(start(server.url, folder))));
    assertEquals(both.sort(), ["cached", "pulled"]);
    assertEquals(server.asked.length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Runs in a file system of its own, or says why it cannot. */
async function mounted(options: string, body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const args = ["-t", "tmpfs", "-o", options, "tmpfs", folder];
  await new Deno.Command("mount", { args }).output();
  try {
    await body(folder);
  } finally {
    await new Deno.Command("umount", { args: [folder] }).output();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Mounting takes the right to, on Linux. */
const canMount = await (async () => {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  let works = false;
  await mounted("size=1m", async (folder) => {
    const { stdout } = await new Deno.Command("findmnt", { args: ["-n", folder] }).output();
    works = stdout.length > 0;
  });
  return works;
})();

Deno.test({
  name: "a full disk is named, and when there is room again the pull goes on (mounts a tmpfs)",
  ignore: !canMount,
  fn: () =>
    mounted("size=8m", async (folder) => {
      await using server = await serveFile(bytes);
      const line = /: the cache cannot be written: no space left.*; PEMBROKE_CACHE names another/;
      const grow = async (size: string) => {
        const args = ["-o", `remount,size=${size}`, folder];
        await new Deno.Command("mount", { args }).output();
      };
      const message = async () =>
        (await assertRejects(() => pull(entry(server.url), folder), FileError)).message;
      assertMatch(await message(), line); // while it is downloaded
      await grow("15m");
      assertMatch(await message(), line); // while it is stored
      await grow("40m");
      const asked = server.asked.length;
      assertEquals((await pull(entry(server.url), folder)).cached, false);
      assertEquals(server.asked.length, asked); // all had arrived before
      assertMatch(server.asked[1]!, /^bytes=[1-9]\d*-$/);
    }),
});

Deno.test({
  name: "a cache for reading only gives what is in it (mounts a tmpfs)",
  ignore: !canMount,
  fn: () =>
    mounted("size=40m", async (folder) => {
      await using server = await serveFile(bytes);
      const { path } = await pull(entry(server.url), folder);
      await new Deno.Command("mount", { args: ["-o", "remount,ro", folder] }).output();
      assertEquals(await pull(entry(server.url), folder), { path, cached: true });
    }),
});

Deno.test({
  name: "a cache that cannot be written is named (mounts a tmpfs)",
  ignore: !canMount,
  fn: () =>
    mounted("size=1m,ro", async (folder) => {
      await assertRejects(
        () => pull(entry("http://127.0.0.1:9/"), `${folder}/cache`),
        FileError,
        `${folder}/cache: the cache cannot be written: read-only file system; PEMBROKE_CACHE names`,
      );
    }),
});
