import { FileError } from "../../src/errors.ts";
import { drawCurve, main } from "../../weights/recipe/curve.ts";
import { formatLog, type LogRow, parseLog } from "../../weights/recipe/log.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "../assert.ts";

const row = (epoch: number): LogRow => ({
  epoch,
  side: 48,
  loss: 4 / epoch,
  accuracy: 0.1 * epoch,
  valLoss: 5 / epoch,
  top1: 0.2 * epoch,
  top5: 0.3 * epoch,
  lr: 0.125,
  imagesPerSecond: 60.5,
  seconds: 1600,
});

Deno.test("parseLog() parses the text of formatLog()", () => {
  const rows = [row(1), row(2)];
  assertEquals(parseLog(formatLog(rows), "log.tsv"), rows);
  assertEquals(parseLog(formatLog([]), "log.tsv"), []);
});

Deno.test("parseLog() rejects other text and invalid lines", () => {
  assertThrows(() => parseLog("a\tb\n1\t2\n", "x.tsv"), FileError, "x.tsv: is not a training log");
  const text = formatLog([row(1), row(2)]);
  assertThrows(
    () => parseLog(text.slice(0, -40), "x.tsv"),
    FileError,
    "line 3 must have 10 numbers",
  );
  assertThrows(
    () => parseLog(text.replace("60.5", "fast"), "x.tsv"),
    FileError,
    "line 2 must have",
  );
});

Deno.test("drawCurve() draws larger values higher, and later epochs further right", () => {
  const svg = drawCurve([row(1), row(2), row(3)]);
  const curves = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) =>
    points.split(" ").map((point) => point.split(",").map(Number))
  );
  assertEquals(curves.length, 5); // two losses, three accuracies
  const [, validationLoss, , top1] = curves;
  const [[x1, y1], [x2, y2], [x3, y3]] = top1;
  assertEquals(x3 - x2 > 0 && Math.abs(x3 - x2 - (x2 - x1)) < 0.2, true);
  // 20, 40 and 60 % are on a line. The y of SVG points down.
  assertEquals(y2 < y1 && Math.abs(y3 - y2 - (y2 - y1)) < 0.2, true);
  assertEquals(validationLoss[0][1] < validationLoss[2][1], true);
  assertStringIncludes(svg, ">Accuracy, %</text>");
});

Deno.test("drawCurve() draws a single epoch", () => {
  assertEquals(/NaN|Infinity|undefined/.test(drawCurve([row(1)])), false);
});

Deno.test("the task of the curve has a help, and names what is missing", async () => {
  assertEquals(await main(["--help"]), 0);
  for (const args of [[], ["log.tsv"], ["a", "b", "c"], ["-x"]]) assertEquals(await main(args), 2);
});
