/** Pulls that are killed, compete, or find no room: never a wrong model, and the next one finishes. */

import { fileURLToPath } from "node:url";
import { FileError } from "../../src/errors.ts";
import { modelPath, pull } from "../../src/hub/mod.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";
import { killedAfter, type Progress } from "./crash.ts";
import { published } from "./models.ts";
import { serveFile, type StaticServer } from "./server.ts";

const { bytes, entry } = await published();
const program = fileURLToPath(new URL("pull_program.ts", import.meta.url));

function start(url: string, folder: string, stop = ""): Deno.ChildProcess {
  const args = ["run", "-A", "--quiet", program, url, folder, stop];
  return new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped" }).spawn();
}

async function outcome(process: Deno.ChildProcess): Promise<string> {
  const { stdout, stderr } = await process.output();
  return new TextDecoder().decode(stdout).trim().split("\n").at(-1) +
    new TextDecoder().decode(stderr);
}

/** A file's bytes; undefined where there is none. */
async function read(path: string): Promise<Uint8Array | undefined> {
  return await Deno.readFile(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return undefined;
  });
}

/** A server of the weights, and the file that a whole pull from there makes. */
async function withServer(
  body: (server: StaticServer, right: Uint8Array) => Promise<void>,
): Promise<void> {
  await using folder = await TempFolder.make();
  await using server = await serveFile(bytes);
  const { path } = await pull(entry(server.url), folder.path, { precision: "int8" });
  await body(server, await Deno.readFile(path));
}

/** The model is right or not there; and the next pull finishes, and leaves nothing else. */
async function assertRecovers(url: string, folder: string, right: Uint8Array, when: string) {
  const path = modelPath(folder, "tiny", "int8");
  const found = await read(path);
  assert(!found || equalBytes(found, right), `another model ${when}`);
  await pull(entry(url), folder, { precision: "int8" });
  assert(equalBytes((await read(path))!, right), `another model after one that ended ${when}`);
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assertEquals(names, ["tiny-int8.safetensors"], when);
}

const equalBytes = (a: Uint8Array, b: Uint8Array) =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

Deno.test("a pull that ends at any change of a file leaves the right model or none", () =>
  withServer(async (server, right) => {
    const pullUntil = (last: number, progress: Progress, folder: string) =>
      killedAfter(last, progress, () => pull(entry(server.url), folder, { precision: "int8" }));
    let calls: string[];
    {
      await using folder = await TempFolder.make();
      calls = await pullUntil(Infinity, "before", folder.path);
    }
    // of many writes that follow each other, the first two, one in the middle and the last
    const moments = calls.keys().filter((i) => {
      const isWrite = (j: number) => calls[j]?.startsWith("write");
      if (!isWrite(i) || !isWrite(i - 1) || !isWrite(i - 2) || !isWrite(i + 1)) return true;
      const first = calls.findLastIndex((_, j) => j < i && !isWrite(j));
      const end = calls.findIndex((_, j) => j > i && !isWrite(j));
      return i === (first + end) >> 1;
    }).toArray();
    assert(moments.length > 12, `${calls}`);
    for (const last of moments) {
      for (const progress of ["before", "halfway"] as const) {
        if (progress === "halfway" && !calls[last].startsWith("write")) continue;
        await using folder = await TempFolder.make();
        await pullUntil(last, progress, folder.path);
        const when = `${progress} ${calls[last]}, call ${last}`;
        await assertRecovers(server.url, folder.path, right, when);
      }
    }
  }));

for (const stage of ["download", "convert"] as const) {
  Deno.test(`a process that is killed while it does the ${stage} leaves the right model or none`, () =>
    withServer(async (server, right) => {
      await using folder = await TempFolder.make();
      const process = start(server.url, folder.path, stage);
      const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
      for (let said = ""; !said.includes(`${stage} has begun`);) said += (await lines.read()).value;
      process.kill("SIGKILL");
      await Promise.all([process.status, process.stderr.cancel(), lines.cancel()]);
      await assertRecovers(server.url, folder.path, right, `in the ${stage}`);
    }));
}

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
