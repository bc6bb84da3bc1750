import { onceFree } from "../../src/io/wait.ts";
import { assertEquals, assertRejects } from "../assert.ts";

/** Fails twice, then succeeds. */
function failingTwice(error: Error) {
  let calls = 0;
  return () => ++calls <= 2 ? Promise.reject(error) : Promise.resolve(calls);
}

Deno.test("onceFree() waits on Windows while another program has the file open", async () => {
  const denied = new Deno.errors.PermissionDenied("Access is denied. (os error 5)");
  const busy = Object.assign(new Error("(os error 32)"), { code: "EBUSY" });
  for (const error of [denied, busy]) {
    assertEquals(await onceFree(failingTwice(error), "windows"), 3);
    await assertRejects(() => onceFree(failingTwice(error), "linux"), Error, error.message);
  }
  const missing = new Deno.errors.NotFound("missing");
  await assertRejects(() => onceFree(failingTwice(missing), "windows"), Deno.errors.NotFound);
});
