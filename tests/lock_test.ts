import { assertEquals } from "./assert.ts";

Deno.test("deno.lock has only the packages that users need, because Deno downloads all of them", async () => {
  const lock = JSON.parse(await Deno.readTextFile(new URL("../deno.lock", import.meta.url)));
  assertEquals(Object.keys(lock.specifiers), [
    "npm:@jsquash/jpeg@1.6.0",
    "npm:@jsquash/webp@1.5.0",
  ], "a tool was run without --lock=tools/deno.lock, where its packages belong");
});
