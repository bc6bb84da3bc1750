import { assertEquals, assertStringIncludes } from "../tests/assert.ts";
import { cyclesOf, isForbidden, levels, measureStructure, violations } from "./structure.ts";

Deno.test("the structure of the code keeps its limits", () => {
  assertEquals(violations(measureStructure()), []);
});

Deno.test("a folder imports only from lines below its own, as docs/architecture.md says", () => {
  const page = Deno.readTextFileSync(new URL("../docs/architecture.md", import.meta.url));
  assertStringIncludes(page, `\n${levels.map((level) => level.join("  ")).join("\n")}\n`);
  const imports: [importer: string, imported: string, isForbidden: boolean][] = [
    ["src/cli/a.ts", "src/io/b.ts", false],
    ["src/io/b.ts", "src/cli/a.ts", true],
    ["src/train/a.ts", "src/explain/b.ts", true],
    ["src/train/a.ts", "src/train/b.ts", false],
    ["src/image/a.ts", "src/tensor.ts", false],
    ["src/tensor.ts", "src/image/a.ts", true],
    ["src/ops/a.ts", "src/io/b.ts", true],
    ["src/models/a.ts", "mod.ts", true],
    ["tests/a.ts", "src/io/b.ts", false],
  ];
  for (const [importer, imported, expected] of imports) {
    assertEquals(isForbidden(importer, imported), expected, `${importer} imports ${imported}`);
  }
});

Deno.test("cyclesOf() finds cycles of every length", () => {
  const imports = (graph: Record<string, string[]>) => new Map(Object.entries(graph));
  assertEquals(cyclesOf(imports({ a: ["b"], b: ["c"], c: [] })), []);
  assertEquals(cyclesOf(imports({ a: ["a"] })), [["a"]]);
  assertEquals(cyclesOf(imports({ a: ["b", "c"], b: ["c"], c: ["b", "d"], d: [] })), [["b", "c"]]);
});
