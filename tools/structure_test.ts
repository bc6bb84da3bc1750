import { assertEquals } from "../tests/assert.ts";
import { cyclesOf, measureStructure, violations } from "./structure.ts";

Deno.test("the structure of the code keeps its limits", () => {
  assertEquals(violations(measureStructure()), []);
});

Deno.test("cyclesOf() finds cycles of every length", () => {
  const imports = (graph: Record<string, string[]>) => new Map(Object.entries(graph));
  assertEquals(cyclesOf(imports({ a: ["b"], b: ["c"], c: [] })), []);
  assertEquals(cyclesOf(imports({ a: ["a"] })), [["a"]]);
  assertEquals(cyclesOf(imports({ a: ["b", "c"], b: ["c"], c: ["b", "d"], d: [] })), [["b", "c"]]);
});
