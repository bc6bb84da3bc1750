import { FileError } from "../../src/errors.ts";
import type { ByteSink } from "../../src/io/byte_sink.ts";
import { replaceFile, writeFile } from "../../src/io/write_file.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";

const windows = Deno.build.os === "windows";
const content = new TextEncoder().encode("new");

Deno.test({
  name: "writeFile() keeps the permissions of the file that it replaces",
  ignore: windows,
  fn: async () => {
    await using folder = await TempFolder.make();
    const path = await folder.write("a", "old");
    for (const mode of [0o600, 0o640, 0o666, 0o400, 0o755]) {
      await Deno.chmod(path, mode);
      // deno-lint-ignore require-await -- the callback is asynchronous
      await writeFile(path, async (sink) => {
        for (const { name } of Deno.readDirSync(folder.path)) {
          const other = Deno.statSync(`${folder.path}/${name}`).mode! & 0o777;
          assertEquals(other & ~mode, 0, "readable by more people while it is written");
        }
        sink.write(0, content);
      });
      assertEquals((await Deno.stat(path)).mode! & 0o777, mode);
    }
  },
});

Deno.test("writeFile() leaves nothing when writing or finishing fails", async () => {
  await using folder = await TempFolder.make();
  const path = await folder.write("a", "old");
  await assertRejects(() => writeFile(path, () => Promise.reject(new Error("no"))), Error, "no");
  await assertRejects(
    () =>
      replaceFile(path, () => Promise.resolve(), () => {
        throw new Error("no");
      }),
    Error,
    "no",
  );
  assertEquals(await Deno.readTextFile(path), "old");
  assertEquals([...Deno.readDirSync(folder.path)].length, 1);
});

Deno.test("writeFile() refuses a folder before anything is written", async () => {
  await using folder = await TempFolder.make();
  const write = () => Promise.reject(new Error("written"));
  await assertRejects(() => writeFile(folder.path, write), FileError, "is a folder");
});

Deno.test("writeFile() calls back before it replaces the file, and keeps it if that fails", async () => {
  await using folder = await TempFolder.make();
  const path = await folder.write("a", "old");
  const writeContent = async (onComplete: () => Promise<void>) =>
    // deno-lint-ignore require-await -- the callback is asynchronous
    await writeFile(path, async (sink) => sink.write(0, content), onComplete);
  const seen: string[] = [];
  await writeContent(async () => {
    for (const { name } of Deno.readDirSync(folder.path)) {
      seen.push(await Deno.readTextFile(`${folder.path}/${name}`));
    }
  });
  assertEquals(seen.sort(), ["new", "old"]);
  assertEquals(await Deno.readTextFile(path), "new");
  await folder.write("a", "old");
  await assertRejects(() => writeContent(() => Promise.reject(new Error("no"))), Error, "no");
  assertEquals(await Deno.readTextFile(path), "old");
  assertEquals([...Deno.readDirSync(folder.path)].length, 1);
});

/** Writes "new", the end first. */
// deno-lint-ignore require-await -- the callback is asynchronous
const writeNew = async (sink: ByteSink) => {
  sink.write(1, content.subarray(1));
  sink.write(0, content.subarray(0, 1));
};

Deno.test({
  name: "writeFile() keeps links, and writes where they lead",
  ignore: windows,
  fn: async () => {
    await using folder = await TempFolder.make();
    const file = await folder.write("files/a", "old");
    await Deno.symlink("files", `${folder.path}/alias`);
    await Deno.symlink("../alias/a", `${folder.path}/files/first`);
    await Deno.symlink("files/first", `${folder.path}/second`);
    await Deno.symlink("files/later", `${folder.path}/third`); // leads nowhere yet
    await writeFile(`${folder.path}/second`, writeNew);
    await writeFile(`${folder.path}/third`, writeNew);
    assertEquals(await Deno.readTextFile(file), "new");
    assertEquals(await Deno.readTextFile(`${folder.path}/files/later`), "new");
    for (const link of ["alias", "files/first", "second", "third"]) {
      assertEquals((await Deno.lstat(`${folder.path}/${link}`)).isSymlink, true, link);
    }
    assertEquals([...Deno.readDirSync(`${folder.path}/files`)].length, 3);
    // a file of the library alone
    await replaceFile(`${folder.path}/second`, writeNew);
    assertEquals((await Deno.lstat(`${folder.path}/second`)).isFile, true);
  },
});

Deno.test({
  name: "writeFile() writes to a pipe, or a link to one, and nothing if it fails",
  ignore: windows,
  fn: async () => {
    await using folder = await TempFolder.make();
    const pipe = `${folder.path}/pipe`, link = `${folder.path}/link`;
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    await Deno.symlink("pipe", link);
    await assertRejects(() => writeFile(pipe, () => Promise.reject(new Error("no"))), Error, "no");
    for (const path of [pipe, link]) {
      const reader = new Deno.Command("cat", { args: [pipe], stdout: "piped" }).spawn();
      await writeFile(path, writeNew);
      const { stdout } = await reader.output();
      assertEquals(new TextDecoder().decode(stdout), "new");
    }
    assertEquals((await Deno.lstat(pipe)).isFifo, true);
    assertEquals([...Deno.readDirSync(folder.path)].length, 2);
  },
});
