import { bar, percent, resultText, timingsText } from "../../src/cli/output.ts";
import { lineOf } from "../../src/cli/errors.ts";
import { printable } from "../../src/cli/terminal.ts";
import { FileError } from "../../src/errors.ts";
import { assertEquals, assertMatch } from "../assert.ts";

const timings = { decodeMs: 1, preprocessMs: 2.34, inferenceMs: 60 };
const prediction = (probability: number) => ({ index: 0, wnid: "", label: "cat", probability });

Deno.test("bar() is 20 wide, in steps of an eighth of a character", () => {
  assertEquals(bar(0), " ".repeat(20));
  assertEquals(bar(1), "█".repeat(20));
  assertEquals(bar(0.5), "█".repeat(10) + " ".repeat(10));
  assertEquals(bar(1 / 160), "▏" + " ".repeat(19));
  assertEquals(bar(0.8919), "█".repeat(17) + "▉  ");
  for (let i = 0; i <= 1000; i++) assertEquals([...bar(i / 1000)].length, 20);
});

Deno.test("percent() shows two decimals, or two significant digits of small values", () => {
  assertEquals(
    [1, 0.8919, 0.001, 0.00057, 0.0000123, 0].map(percent),
    ["100.00 %", "89.19 %", "0.10 %", "0.057 %", "0.0012 %", "0.00 %"],
  );
});

Deno.test("resultText() escapes control characters in labels", () => {
  const predictions = [{ ...prediction(1), label: "cat\x1b[2J\n" }];
  assertMatch(resultText({ input: "x", predictions }), /cat\\x1b\[2J\\x0a$/);
});

Deno.test("resultText() aligns bars, also for tiny probabilities", () => {
  const predictions = [1, 0.5, 0.0000123, 1.5e-12].map(prediction);
  const [name, ...lines] = resultText({ input: "x", predictions }).split("\n");
  assertMatch(name, /^\S*x\S*$/); // perhaps bold
  assertEquals(new Set(lines.map((line) => line.indexOf(" %"))).size, 1);
});

Deno.test("timingsText() lists the image and each stage", () => {
  assertEquals(
    timingsText({ input: "x.png", predictions: [], timings }),
    "x.png: decode 1.0 ms, preprocess 2.3 ms, inference 60.0 ms",
  );
});

Deno.test("printable() escapes control characters in file names", () => {
  assertEquals(printable("a\x1b[31m\nü 猫.png\x9b"), "a\\x1b[31m\\x0aü 猫.png\\x9b");
});

Deno.test("lineOf() returns expected errors as one line, and unexpected ones with their location", () => {
  assertEquals(lineOf(new FileError("x", "is empty")), "x: is empty");
  const bug = lineOf(new TypeError("x is not a function"));
  assertMatch(bug, /^unexpected TypeError: x is not a function \(at .+:\d+:\d+\); .+$/);
});
