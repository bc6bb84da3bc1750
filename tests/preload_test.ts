import { fileURLToPath } from "node:url";
import { assertEquals, assertMatch, assertStringIncludes } from "./assert.ts";
import { TempFolder } from "./cli/run.ts";

const preload = fileURLToPath(new URL("preload.ts", import.meta.url));

Deno.test("a test that hangs fails with its name, and the next one runs", async () => {
  await using folder = await TempFolder.make();
  const file = await folder.write(
    "a_test.ts",
    `Deno.test("computes forever", () => { for (;;); });
Deno.test({ name: "waits forever", fn: () => new Promise((done) => setTimeout(done, 1e8)) });
Deno.test("ends", () => {});`,
  );
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--no-config", "--preload", preload, file],
    env: { PEMBROKE_TEST_MS: "500", NO_COLOR: "1" },
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 1);
  for (const name of ["computes forever", "waits forever"]) {
    assertMatch(text, new RegExp(`^${name} => .*\nerror: Test timed out after 500ms`, "m"));
  }
  assertMatch(text, /^ends \.\.\. ok/m);
});

Deno.test("deno task test gives every test a timeout", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  assertStringIncludes(tasks.test.command, " --preload tests/preload.ts ");
});
