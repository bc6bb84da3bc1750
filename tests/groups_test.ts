import { groups, testFiles } from "./groups.ts";
import { assertEquals } from "./assert.ts";

Deno.test("every test file is in exactly one group, and every group has a file", async () => {
  for (const file of testFiles()) {
    const names = Object.entries(groups).filter(([, files]) => files.test(file));
    assertEquals(names.length, 1, `${file} is in ${names.map(([name]) => name)}`);
  }
  const groupFiles = [...Deno.readDirSync(new URL("groups/", import.meta.url))]
    .map(({ name }) => name.replace(/\.ts$/, ""));
  assertEquals(groupFiles.sort(), Object.keys(groups).sort());
  for (const name of groupFiles) {
    const text = await Deno.readTextFile(new URL(`groups/${name}.ts`, import.meta.url));
    assertEquals(text.includes(`importGroup("${name}")`), true, name);
  }
});
