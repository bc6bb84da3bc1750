import { writeFile } from "../../src/io/write_file.ts";
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
      writeFile(path, () => Promise.resolve(), () => {
        throw new Error("no");
      }),
    Error,
    "no",
  );
  assertEquals(await Deno.readTextFile(path), "old");
  assertEquals([...Deno.readDirSync(folder.path)].length, 1);
});
