import denoJson from "../../deno.json" with { type: "json" };
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../assert.ts";
import { report } from "../../bench/lib/report.ts";
import {
  best,
  machineRate,
  type Measurement,
  readRun,
  type Result,
  type Run,
} from "../../bench/lib/results.ts";

/** A result in which every run took `ms`. */
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
function machine(): Measurement["machine"] {
  const ms = { min: 1, p25: 1, median: 1, p75: 1, max: 1 };
  return [
    { what: "arithmetic", threads: 1, amount: 10e6, ms },
    { what: "arithmetic", threads: 2, amount: 20e6, ms },
    { what: "streaming", threads: 1, amount: 1e6, ms },
  ];
}

function run(results: readonly Result[], rest: Partial<Measurement> = {}): Run {
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
    leftOut: [{ name: "a program", reason: "not installed" }],
  };
}

/** The rows that start with a text, with single spaces between cells. */
function rows(text: string, start: string): string[] {
  return text.split("\n").map((line) => line.trim().replace(/ +/g, " "))
    .filter((line) => line.startsWith(start));
}

Deno.test("best() returns a program's fastest result with at most that many threads", () => {
  const results = [result("a", 1, 5), result("a", 2, 3), result("b", 1, 1), result("a", 4, 1)];
  assertEquals(best(results, "a", 1), results[0]);
  assertEquals(best(results, "a", 2), results[1]);
  assertEquals(best(results, "c", 2), undefined);
  const wrong = result("a", 1, 0, { ms: null });
  assertEquals(best([wrong, ...results], "a", 1), results[0]);
});

Deno.test("machineRate() returns the median over all tasks", () => {
  const { measured: [first], ...rest } = run([]);
  const slower = { ...first, machine: first.machine.map((g) => ({ ...g, amount: g.amount / 2 })) };
  const all = { ...rest, measured: [first, slower, first] };
  assertEquals(machineRate(all, "arithmetic", 2), 20);
  assertEquals(machineRate(all, "streaming", 2), undefined);
});

Deno.test("report() has a row for each task and number of threads, with every peer's ratio", () => {
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
  assertEquals(rows(text, "the micro"), [
    "the micro-kernel 10.0 100 %",
    "the micro-kernel 20.0 100 %",
  ]);
  assertStringIncludes(text, "Largest error: 1e-6 of the reference's largest value");
  assertStringIncludes(text, "Skipped: a program: not installed");
});

Deno.test("report() has a row for each of our variants, next to the same times of peers", () => {
  const text = report(run([
    result("pembroke", 1, 20, { reference: true, error: 0 }),
    result("pembroke", 1, 10, { variant: "int8", tolerance: 0.05, error: 0.01 }),
    result("web", 1, 40),
  ]));
  assertEquals(rows(text, "batch 1").slice(0, 2), [
    "batch 1 20.0 50.0 500 % 40.0 2.00×",
    "batch 1, int8 10.0 100.0 1000 % 40.0 4.00×",
  ]);
  assertStringIncludes(text, "Largest error of pembroke (int8): 1e-2 of the reference's largest");
});

Deno.test("report() shows no time for a wrong output, and names the program", () => {
  const text = report(run([
    result("pembroke", 1, 20, { reference: true, error: 0 }),
    result("web", 1, 0, { ms: null, error: 0.5 }),
  ]));
  assertEquals(rows(text, "batch 1")[0], "batch 1 20.0 50.0 500 % wrong");
  assertStringIncludes(text, "WRONG: web, AlexNet, forward, batch 1: 5e-1");
});

Deno.test("report() has a row even without our times, and no column for a slow program", () => {
  const text = report(run([result("web", 1, 40), result("snail", 1, 9000, { once: true })]));
  assertEquals(rows(text, "batch 1"), ["batch 1 – 40.0", "batch 1 – 40.0"]);
  assertEquals(rows(text, "snail"), ["snail, timed once: batch 1 9000"]);
});

Deno.test("report() notes if the machine had no free core for each thread", () => {
  const busy = machine().map((gauge) => gauge.threads === 2 ? { ...gauge, amount: 12e6 } : gauge);
  const text = (machine: Measurement["machine"]) => report(run([result("web", 1, 1)], { machine }));
  assertStringIncludes(text(busy), "with 2 threads, the micro-kernel was only 1.20 times as fast");
  assert(!text(machine()).includes("busy"), "the machine was not busy");
});

Deno.test("report() does not count the threads of whole processes", () => {
  const task = { section: "Start-up", name: "nothing", process: true };
  const text = report(run([result("pembroke", 1, 30)], { task, machine: [] }));
  assertEquals(rows(text, "Start-up"), ["Start-up"]);
  assertEquals(rows(text, "nothing"), ["nothing 30.0"]);
});

Deno.test("readRun() reads what --save wrote, and nothing else", async () => {
  const path = await Deno.makeTempFile();
  try {
    const saved = run([result("pembroke", 1, 2)]);
    await Deno.writeTextFile(path, JSON.stringify(saved));
    assertEquals(await readRun(path), JSON.parse(JSON.stringify(saved)));
    for (const text of ["", "null", "[]", '{"measured": []}', "# text"]) {
      await Deno.writeTextFile(path, text);
      await assertRejects(() => readRun(path), Error, `${path} is not a saved run`);
    }
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("saved results are printed without loading any other library", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [deno, ...args] = denoJson.tasks.bench.command.split(" ");
    assertEquals(deno, "deno");
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [args[0], "--cached-only", ...args.slice(1), "--from", "bench/results.json"],
      cwd: new URL("../../", import.meta.url),
      env: { DENO_DIR: folder }, // empty
    }).output();
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    assertStringIncludes(new TextDecoder().decode(stdout), "onnxruntime-web");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
