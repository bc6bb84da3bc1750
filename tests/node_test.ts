import { nodeModule } from "../src/node.ts";
import { assertEquals } from "./assert.ts";

Deno.test("nodeModule() calls no function of a process that is not Node's", async () => {
  const original = Object.getOwnPropertyDescriptor(globalThis, "process")!;
  const getBuiltinModule = () => {
    throw new Error("not supported in the Edge Runtime"); // as in Next.js
  };
  const value = { env: {}, getBuiltinModule };
  Object.defineProperty(globalThis, "process", { value, configurable: true });
  try {
    assertEquals(await nodeModule("node:os"), undefined);
  } finally {
    Object.defineProperty(globalThis, "process", original);
  }
});
