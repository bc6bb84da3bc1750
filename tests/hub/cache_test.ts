/** The cache of downloaded models. */

import { cachedModels, cacheFolder, removeCached } from "../../src/hub/mod.ts";
import { assertEquals } from "../assert.ts";

const env = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("cacheFolder() returns PEMBROKE_CACHE, or the cache folder of the platform", () => {
  const home = { HOME: "/home/ada" };
  assertEquals(cacheFolder(env(home), "linux"), "/home/ada/.cache/pembroke");
  assertEquals(cacheFolder(env({ ...home, XDG_CACHE_HOME: "/c" }), "linux"), "/c/pembroke");
  const relative = { ...home, XDG_CACHE_HOME: "c" }; // ignored, as specified
  assertEquals(cacheFolder(env(relative), "linux"), "/home/ada/.cache/pembroke");
  assertEquals(cacheFolder(env(home), "darwin"), "/home/ada/Library/Caches/pembroke");
  const windows = { LOCALAPPDATA: "C:\\Users\\ada\\AppData\\Local" };
  assertEquals(cacheFolder(env(windows), "windows"), `${windows.LOCALAPPDATA}\\pembroke`);
  for (const os of ["linux", "darwin", "windows"] as const) {
    const own = { ...home, ...windows, PEMBROKE_CACHE: "/own" };
    assertEquals(cacheFolder(env(own), os), "/own");
    assertEquals(cacheFolder(env({}), os), undefined);
  }
});

Deno.test("cachedModels() lists models, newest first; removeCached() deletes one", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const names = ["a-f32.safetensors", "a-int8.safetensors", "a-b-f16.safetensors"];
    for (
      const name of [...names, "a-f8.safetensors", "a-1234.part", "a-f16.safetensors.0123abcd.tmp"]
    ) {
      await Deno.writeTextFile(`${folder}/${name}`, "x");
    }
    await Deno.mkdir(`${folder}/d-f32.safetensors`);
    await Promise.all(
      names.map((name, i) => Deno.utime(`${folder}/${name}`, i + 1, [5, 9, 7][i])),
    );
    const fileNames = (models: { path: string }[]) =>
      models.map(({ path }) => path.slice(folder.length + 1));
    assertEquals(fileNames(await cachedModels(folder)), [names[1], names[2], names[0]]);
    assertEquals(fileNames(await cachedModels(folder, "a")), [names[1], names[0]]);
    assertEquals(fileNames(await cachedModels(folder, "a-b")), [names[2]]);

    const remaining = ["a-b-f16.safetensors", "a-f8.safetensors", "d-f32.safetensors"];
    const removed = (await removeCached(folder, "a")).map((path) => path.slice(folder.length + 1));
    assertEquals(removed, ["a-1234.part", "a-f16.safetensors.0123abcd.tmp", names[0], names[1]]);
    const files = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    assertEquals(files.sort(), remaining);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assertEquals(await cachedModels(folder), []); // the folder does not exist
  assertEquals(await removeCached(folder, "a"), []);
});
