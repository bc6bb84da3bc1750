/** Tests pulls that are killed, run concurrently or fill the disk: the next pull recovers. */

import { fileURLToPath } from "node:url";
import { FileError } from "../../src/errors.ts";
import { modelPath, pull } from "../../src/hub/mod.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";
import { killedAfter, type Progress } from "./crash.ts";
import { equalBytes, testWeights } from "./models.ts";
import { type FileServer, serveFile } from "./server.ts";

const { bytes, entry } = await testWeights();
/** Rounding takes ten times as long as all the rest, and changes no file in another way. */
const options = { precision: "f32" } as const;
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

/** Reads a file; undefined if it does not exist. */
async function read(path: string): Promise<Uint8Array | undefined> {
  return await Deno.readFile(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return undefined;
  });
}

/** Runs with a server of the weights, and the file that a complete pull creates. */
async function withServer(
  body: (server: FileServer, expected: Uint8Array) => Promise<void>,
): Promise<void> {
  await using folder = await TempFolder.make();
  await using server = await serveFile(bytes);
  const { path } = await pull(entry(server.url), folder.path, options);
  await body(server, await Deno.readFile(path));
}

/** Asserts that the model is correct or missing, and that the next pull leaves only the model. */
async function assertRecovers(url: string, folder: string, expected: Uint8Array, when: string) {
  const path = modelPath(folder, "tiny", "f32");
  const actual = await read(path);
  assert(!actual || equalBytes(actual, expected), `wrong model ${when}`);
  await pull(entry(url), folder, options);
  assert(
    equalBytes((await read(path))!, expected),
    `wrong model after the pull that ended ${when}`,
  );
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assertEquals(names, ["tiny-f32.safetensors"], when);
}

Deno.test("pull() leaves the correct model or none when killed at any change of a file", () =>
  withServer(async (server, expected) => {
    const pullUntil = (last: number, progress: Progress, folder: string) =>
      killedAfter(last, progress, () => pull(entry(server.url), folder, options));
    let calls: string[];
    {
      await using folder = await TempFolder.make();
      calls = await pullUntil(Infinity, "before", folder.path);
    }
    // Of a long series of writes, test the first two, one in the middle and the last.
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
        await assertRecovers(server.url, folder.path, expected, when);
      }
    }
  }));

for (const stage of ["download", "convert"] as const) {
  Deno.test(`pull() leaves the correct model or none when its process is killed (${stage})`, () =>
    withServer(async (server, expected) => {
      await using folder = await TempFolder.make();
      const process = start(server.url, folder.path, stage);
      const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
      for (let output = ""; !output.includes(`${stage} started`);) {
        output += (await lines.read()).value;
      }
      process.kill("SIGKILL");
      await Promise.all([process.status, process.stderr.cancel(), lines.cancel()]);
      await assertRecovers(server.url, folder.path, expected, `during ${stage}`);
    }));
}

Deno.test("pull() waits for another process that pulls the same model", async () => {
  const folder = await Deno.makeTempDir();
  await using server = await serveFile(bytes, { pauseMs: 5 });
  try {
    const both = await Promise.all([0, 1].map(() => outcome(start(server.url, folder))));
    assertEquals(both.sort(), ["cached", "pulled"]);
    assertEquals(server.ranges.length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Runs with a temporary file system. */
async function withTmpfs(options: string, body: (folder: string) => Promise<void>): Promise<void> {
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

/** Mounting needs root permissions on Linux. */
const canMount = await (async () => {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  let works = false;
  await withTmpfs("size=1m", async (folder) => {
    const { stdout } = await new Deno.Command("findmnt", { args: ["-n", folder] }).output();
    works = stdout.length > 0;
  });
  return works;
})();

Deno.test({
  name: "pull() reports a full disk, and leaves nothing there (mounts a tmpfs)",
  ignore: !canMount,
  fn: () =>
    withTmpfs("size=2m", async (folder) => {
      await using server = await serveFile(bytes);
      const line =
        /: cannot write to the cache: no space left.*; set PEMBROKE_CACHE to use another/;
      const grow = async (size: string) => {
        const args = ["-o", `remount,size=${size}`, folder];
        await new Deno.Command("mount", { args }).output();
      };
      const message = async () =>
        (await assertRejects(() => pull(entry(server.url), folder), FileError)).message;
      for (const size of ["2m", "3m"]) { // during the download, and during the conversion
        await grow(size);
        assertMatch(await message(), line);
        assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
      }
      await grow("8m");
      assertEquals((await pull(entry(server.url), folder)).cached, false);
    }),
});

Deno.test({
  name: "pull() reads from a read-only cache (mounts a tmpfs)",
  ignore: !canMount,
  fn: () =>
    withTmpfs("size=40m", async (folder) => {
      await using server = await serveFile(bytes);
      const { path } = await pull(entry(server.url), folder);
      await new Deno.Command("mount", { args: ["-o", "remount,ro", folder] }).output();
      assertEquals(await pull(entry(server.url), folder), { path, cached: true });
    }),
});

Deno.test({
  name: "pull() reports a cache that it cannot write (mounts a tmpfs)",
  ignore: !canMount,
  fn: () =>
    withTmpfs("size=1m,ro", async (folder) => {
      await assertRejects(
        () => pull(entry("http://127.0.0.1:9/"), `${folder}/cache`),
        FileError,
        `${folder}/cache: cannot write to the cache: read-only file system; set PEMBROKE_CACHE`,
      );
    }),
});
