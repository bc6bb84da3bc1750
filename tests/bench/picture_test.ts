import { assert, assertEquals, assertThrows } from "../assert.ts";
import { picture } from "../../bench/lib/picture.ts";
import type { Measurement, Result, Run } from "../../bench/lib/results.ts";

function result(program: string, threads: number, ms: number, variant?: string): Result {
  return {
    program,
    variant,
    version: "1",
    threads,
    reference: false,
    error: 0,
    tolerance: 1e-3,
    ms: { min: ms, p25: ms, median: ms, p75: ms, max: ms },
  };
}

function run(name: string, results: readonly Result[]): Run {
  const [section, task] = name.split(": ");
  const measurement: Measurement = {
    task: { section, name: task },
    rounds: 1,
    results,
    machine: [],
  };
  const machine = { processor: "A & B", cores: 2, runtime: "Deno" };
  return { ...machine, threads: [1, 2], measured: [measurement], leftOut: [] };
}

/** The texts in a chart, in order. */
function texts(svg: string): string[] {
  return [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);
}

function bars(svg: string, look: string): number[] {
  const matches = svg.matchAll(new RegExp(`<rect class="${look}"[^>]* width="([^"]*)"`, "g"));
  return [...matches].map(([, width]) => Number(width));
}

Deno.test("picture() draws a bar for each program and number of threads, ours first", () => {
  const svg = picture(run("AlexNet, forward: batch 1", [
    result("web", 1, 40),
    result("pembroke", 1, 20),
    result("pembroke", 2, 10),
    result("pembroke", 1, 16, "int8"),
  ]));
  assertEquals(texts(svg).slice(1, -2), [
    "forward, batch 1",
    "1 thread",
    ...["pembroke", "20.0 ms", "pembroke, int8", "16.0 ms", "web", "40.0 ms · 2.00×"],
    "2 threads",
    ...["pembroke", "10.0 ms", "pembroke, int8", "–", "web", "40.0 ms · 4.00×"],
  ]);
  const [longest] = bars(svg, "peer");
  assertEquals(bars(svg, "pale"), [longest]);
  assertEquals(bars(svg, "ours"), [longest / 2, longest * 0.4, longest / 4]);
  assert(svg.includes("A &amp; B"), "text must be escaped");
});

Deno.test("picture() shows our times with two threads, even if one thread was faster", () => {
  const results = [result("pembroke", 1, 10), result("pembroke", 2, 20)];
  const shown = texts(picture(run("AlexNet, forward: batch 1", results)));
  assertEquals(shown.filter((text) => text.endsWith(" ms")), ["10.0 ms", "20.0 ms"]);
});

Deno.test("picture() throws if there are no results for AlexNet", () => {
  assertThrows(() => picture(run("Convolutions: conv1", [])), Error, "no results for AlexNet");
});
