import { assertEquals } from "./assert.ts";

Deno.test("deno.lock names what users need and nothing else: Deno downloads all of it", async () => {
  const lock = JSON.parse(await Deno.readTextFile(new URL("../deno.lock", import.meta.url)));
  assertEquals(Object.keys(lock.specifiers), [
    "npm:@jsquash/jpeg@1.6.0",
    "npm:@jsquash/webp@1.5.0",
    "npm:deno-std@1.4.0",
  ], "a tool was run without --lock=tools/deno.lock; its packages belong there");
});
