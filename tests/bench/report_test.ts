import { assert, assertEquals, assertStringIncludes } from "../assert.ts";
import { report } from "../../bench/lib/report.ts";
import {
  best,
  machineRate,
  type Measured,
  type Result,
  type Run,
} from "../../bench/lib/results.ts";

/** A result whose every time is `ms`. */
function result(program: string, threads: number, ms: number, rest: Partial<Result> = {}): Result {
  const summary = { min: ms, p25: ms, median: ms, p75: ms, max: ms };
  return {
    program,
    version: "1",
    threads,
    reference: false,
    error: 1e-6,
    tolerance: 1e-3,
    ms: summary,
    ...rest,
  };
}

/** 10 GFLOP/s with one thread, 20 with two; 1 GB/s. */
function machine(): Measured["machine"] {
  const ms = { min: 1, p25: 1, median: 1, p75: 1, max: 1 };
  return [
    { what: "arithmetic", threads: 1, amount: 10e6, ms },
    { what: "arithmetic", threads: 2, amount: 20e6, ms },
    { what: "streaming", threads: 1, amount: 1e6, ms },
  ];
}

function run(results: readonly Result[], rest: Partial<Measured> = {}): Run {
  return {
    processor: "A processor",
    cores: 2,
    runtime: "Deno",
    threads: [1, 2],
    measured: [{
      task: { section: "AlexNet, forward", name: "batch 1", flops: 1e9 },
      rounds: 3,
      results,
      machine: machine(),
      ...rest,
    }],
    leftOut: [{ name: "somebody", reason: "is ill" }],
  };
}

/** The cells of the rows that begin with a text, blanks made single. */
function rows(text: string, start: string): string[] {
  return text.split("\n").map((line) => line.trim().replace(/ +/g, " "))
    .filter((line) => line.startsWith(start));
}

Deno.test("best() takes the faster of a program's results with as many threads or fewer", () => {
  const results = [result("a", 1, 5), result("a", 2, 3), result("b", 1, 1), result("a", 4, 1)];
  assertEquals(best(results, "a", 1), results[0]);
  assertEquals(best(results, "a", 2), results[1]);
  assertEquals(best(results, "c", 2), undefined);
  const wrong = result("a", 1, 0, { ms: null });
  assertEquals(best([wrong, ...results], "a", 1), results[0]);
});

Deno.test("machineRate() is the median over all tasks", () => {
  const { measured: [first], ...rest } = run([]);
  const slower = { ...first, machine: first.machine.map((g) => ({ ...g, amount: g.amount / 2 })) };
  const all = { ...rest, measured: [first, slower, first] };
  assertEquals(machineRate(all, "arithmetic", 2), 20);
  assertEquals(machineRate(all, "streaming", 2), undefined);
});

Deno.test("report() gives each task a row for each number of threads, with every peer's ratio", () => {
  const text = report(run([
    result("pembroke", 1, 200, { reference: true, error: 0 }),
    result("pembroke", 2, 100),
    result("native", 1, 100),
    result("native", 2, 80),
    result("web", 1, 400),
  ]));
  assertEquals(rows(text, "batch 1"), [
    "batch 1 200 5.0 50 % 100 0.50× 400 2.00×",
    "batch 1 100 2.00× 10.0 50 % 80.0 0.80× 400 4.00×",
  ]);
  assertEquals(rows(text, "AlexNet"), [
    "AlexNet, forward, 1 thread",
    "AlexNet, forward, 2 threads",
  ]);
  assertEquals(rows(text, "244 MB at"), ["244 MB at 1.0 GB/s 244"]);
  assertEquals(rows(text, "the 4×8"), [
    "the 4×8 micro-kernel 10.0 100 %",
    "the 4×8 micro-kernel 20.0 100 %",
  ]);
  assertStringIncludes(text, "Answers: at most 1e-6 of the largest");
  assertStringIncludes(text, "Left out: somebody: is ill");
});

Deno.test("report() gives our variants rows of their own, beside the same times of peers", () => {
  const text = report(run([
    result("pembroke", 1, 20, { reference: true, error: 0 }),
    result("pembroke", 1, 10, { variant: "int8", tolerance: 0.05, error: 0.01 }),
    result("web", 1, 40),
  ]));
  assertEquals(rows(text, "batch 1").slice(0, 2), [
    "batch 1 20.0 50.0 500 % 40.0 2.00×",
    "batch 1, int8 10.0 100.0 1000 % 40.0 4.00×",
  ]);
  assertStringIncludes(text, "Answers of pembroke (int8): at most 1e-2 of the largest");
});

Deno.test("report() shows no time of a wrong answer, and says whose it was", () => {
  const text = report(run([
    result("pembroke", 1, 20, { reference: true, error: 0 }),
    result("web", 1, 0, { ms: null, error: 0.5 }),
  ]));
  assertEquals(rows(text, "batch 1")[0], "batch 1 20.0 50.0 500 % wrong");
  assertStringIncludes(text, "WRONG: web, AlexNet, forward, batch 1: 5e-1");
});

Deno.test("report() has a row where our times are lacking, and no column for a slow program", () => {
  const text = report(run([result("web", 1, 40), result("snail", 1, 9000, { once: true })]));
  assertEquals(rows(text, "batch 1"), ["batch 1 – 40.0", "batch 1 – 40.0"]);
  assertEquals(rows(text, "snail"), ["snail, once: batch 1 9000"]);
});

Deno.test("report() says so if the machine had no core for each thread", () => {
  const busy = machine().map((gauged) =>
    gauged.threads === 2 ? { ...gauged, amount: 12e6 } : gauged
  );
  const text = (machine: Measured["machine"]) => report(run([result("web", 1, 1)], { machine }));
  assertStringIncludes(text(busy), "did 1.20 times as much with 2 threads as with one");
  assert(!text(machine()).includes("busy"), "two cores for two threads are no news");
});

Deno.test("report() counts no threads of whole processes", () => {
  const task = { section: "Start-up", name: "nothing", process: true };
  const text = report(run([result("pembroke", 1, 30)], { task, machine: [] }));
  assertEquals(rows(text, "Start-up"), ["Start-up"]);
  assertEquals(rows(text, "nothing"), ["nothing 30.0"]);
});
