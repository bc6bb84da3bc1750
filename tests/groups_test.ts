import { groups, testFiles } from "./groups.ts";
import { assert, assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);

Deno.test("deno task test runs every test file once, and every group has a file", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const run = (tasks.test.command as string).split(" ").filter((word) => word.endsWith(".ts"));
  assert(run.includes("tests/groups/*.ts"), `${run}`);
  const alone = run.filter((path) => path.endsWith("_test.ts"))
    .map((path) => [path, RegExp(`^${path.replace("*", "[^/]*")}$`)] as const);
  for (const file of testFiles()) {
    const names = [...Object.entries(groups), ...alone].filter(([, files]) => files.test(file));
    assertEquals(names.length, 1, `${file} is in ${names.map(([name]) => name)}`);
  }
  const groupFiles = [...Deno.readDirSync(new URL("tests/groups/", root))]
    .map(({ name }) => name.replace(/\.ts$/, ""));
  assertEquals(groupFiles.sort(), Object.keys(groups).sort());
  for (const name of groupFiles) {
    const text = await Deno.readTextFile(new URL(`tests/groups/${name}.ts`, root));
    assertEquals(text.includes(`importGroup("${name}")`), true, name);
  }
});
