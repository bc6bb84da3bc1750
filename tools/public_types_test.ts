import { assertEquals } from "../tests/assert.ts";
import { hiddenTypes } from "./public_types.ts";

Deno.test("users can import every type that a signature of mod.ts names", () => {
  assertEquals(hiddenTypes("mod.ts"), [], "add them to mod.ts");
});

Deno.test("types that a module does not export are found", () => {
  const found = hiddenTypes("src/layers/upsample.ts");
  assertEquals(found.includes("InterpolateOptions of Upsample"), true);
  assertEquals(found.includes("Resampling of Upsample"), false); // a protected member names it
  assertEquals(found.includes("Tensor of Upsample"), true); // a member of its base class names it
});
