import { ArgumentError } from "../../src/errors.ts";
import { newClassNames } from "../../src/models/network_classes.ts";
import { assert, assertEquals, assertThrows } from "../assert.ts";

Deno.test("newClassNames() rejects a class that occurs twice, but not one with another id", () => {
  const classes = [{ wnid: "n1", label: "crane" }, { wnid: "n2", label: "crane" }, "crane"];
  assertEquals(newClassNames("f", classes).map(({ wnid }) => wnid), ["n1", "n2", ""]);
  // their ids and labels end and begin elsewhere
  assertEquals(newClassNames("f", [{ wnid: "1", label: "2 a" }, { wnid: "1 2", label: " a" }]), [
    { wnid: "1", label: "2 a" },
    { wnid: "1 2", label: " a" },
  ]);
  for (const twice of [["a", "b", "a"], ["b", ...classes, { wnid: "n2", label: "crane" }]]) {
    const { message } = assertThrows(() => newClassNames("f", twice), ArgumentError);
    const name = twice[0] === "a" ? "a" : "crane";
    assertEquals(message, `f: the name of a class is "${name}", must be unique`);
  }
});

Deno.test("newClassNames() takes time in proportion to the number of classes", () => {
  const names = Array.from({ length: 200_000 }, (_, i) => `class ${i}`);
  const start = performance.now();
  assertEquals(newClassNames("f", names).length, names.length);
  assert(performance.now() - start < 5000); // 0.1 s, but a minute if it compares all pairs
});
