import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { relativeError } from "../../bench/lib/agreement.ts";
import { readArguments, savedFile } from "../../bench/lib/options.ts";
import { type Contender, interleave } from "../../bench/lib/rounds.ts";
import { Server } from "../../bench/lib/server.ts";
import { SkippedPrograms } from "../../bench/lib/skipped.ts";
import { summarise } from "../../bench/lib/stats.ts";
import { measure } from "../../bench/lib/suite.ts";
import { table } from "../../bench/lib/table.ts";

Deno.test("relativeError() is the largest difference over the largest reference value", () => {
  assertEquals(relativeError(floats(1, -2, 5), floats(1, -4, 3)), 0.5);
  assertEquals(relativeError(floats(1, 2), floats(1, 2)), 0);
});

Deno.test("relativeError() is infinite if values cannot be compared", () => {
  assertEquals(relativeError(floats(1), floats(1, 2)), Infinity);
  assertEquals(relativeError(floats(0), floats(0)), Infinity);
  assertEquals(relativeError(floats(1, NaN), floats(1, 2)), Infinity);
  assertEquals(relativeError(floats(1, 2), floats(NaN, 2)), Infinity);
  assertEquals(relativeError(floats(Infinity), floats(1)), Infinity);
});

Deno.test("summarise() returns the quantiles of unsorted timings, and does not change them", () => {
  const timings = [9, 1, 5, 3, 7];
  assertEquals(summarise(timings), { min: 1, p25: 3, median: 5, p75: 7, max: 9 });
  assertEquals(timings, [9, 1, 5, 3, 7]);
});

Deno.test("summarise() interpolates between timings", () => {
  assertEquals(summarise([10, 2]), { min: 2, p25: 4, median: 6, p75: 8, max: 10 });
  assertEquals(summarise([4]), { min: 4, p25: 4, median: 4, p75: 4, max: 4 });
});

Deno.test("table() aligns columns left or right", () => {
  const columns = [{ title: "peer", align: "left" }, { title: "ms", align: "right" }] as const;
  assertEquals(
    table(columns, [["a", "1.5"], ["longer", "–"]]),
    ["peer     ms", "a       1.5", "longer    –"].join("\n"),
  );
});

Deno.test("table() supports headings of several lines, and lines of text between rows", () => {
  const columns = [{ title: "a", align: "left" }, { title: "two\nlines", align: "right" }] as const;
  assertEquals(
    table(columns, ["a section heading", ["b", "1"]]),
    ["     two", "a  lines", "a section heading", "b      1"].join("\n"),
  );
});

Deno.test("interleave() runs all contenders in turns, and counts the rounds after the warm-up", async () => {
  const turns: string[] = [];
  const contender = (name: string): Contender => ({
    name,
    run: () => Promise.resolve(1000 + turns.push(name)),
  });
  const timings = await interleave([contender("a"), contender("b")], { warmUp: 1, rounds: 2 });
  assertEquals(turns.join(""), "ababab");
  assertEquals(timings, [[1003, 1005], [1004, 1006]]);
});

Deno.test("interleave() repeats short runs, and times the second one", async () => {
  const turns: string[] = [];
  const contender = (name: string): Contender => ({
    name,
    run: () => Promise.resolve(turns.push(name)),
  });
  const timings = await interleave([contender("a"), contender("b")], { warmUp: 0, rounds: 2 });
  assertEquals(turns.join(""), "aabbaabb");
  assertEquals(timings, [[2, 6], [4, 8]]);
});

Deno.test("interleave() runs a slow contender once, and reports progress", async () => {
  const labels: string[] = [];
  const contenders = [
    { name: "fast", run: () => Promise.resolve(1) },
    { name: "slow", once: true, run: () => Promise.resolve(1000) },
  ];
  const progress = (label: string) => labels.push(label);
  const timings = await interleave(contenders, { warmUp: 1, rounds: 2, progress });
  assertEquals(timings, [[1, 1], [1000]]);
  assertEquals(labels, [
    "warm-up: fast",
    "round 1 of 2: fast",
    "round 1 of 2: slow",
    "round 2 of 2: fast",
  ]);
});

Deno.test("readArguments() sorts the suites, and rejects unknown names", () => {
  const known = {
    suites: ["one", "two"],
    defaultSuites: ["one"],
    programs: ["a", "b"],
    cores: 4,
  };
  assertEquals(readArguments([], known).suites, ["one"]);
  const { suites, batches, only } = readArguments(
    ["two", "--batch", "1,4", "one", "--only", "b"],
    known,
  );
  assertEquals({ suites, batches, only }, { suites: ["one", "two"], batches: [1, 4], only: ["b"] });
  assertEquals(readArguments([], known).threads, [1, 2]);
  assertEquals(readArguments([], { ...known, cores: 1 }).threads, [1]);
  assertEquals(readArguments(["--threads", "4,1"], known).threads, [1, 4]);
  assertThrows(
    () => readArguments(["three"], known),
    Error,
    'unknown suite "three"; choose from one, two',
  );
  assertThrows(
    () => readArguments(["--only", "c"], known),
    Error,
    'unknown program "c"; choose from a, b',
  );
  assertThrows(() => readArguments(["--rounds", "0"], known), Error, "--rounds");
  assertEquals(readArguments([], known).networks, undefined);
  assertEquals(readArguments(["--networks", "vgg11,resnet18"], known).networks, [
    "vgg11",
    "resnet18",
  ]);
  assertThrows(
    () => readArguments(["--networks", "resnet"], known),
    Error,
    'unknown network "resnet"; choose from alexnet',
  );
});

function floats(...values: number[]): Float32Array<ArrayBuffer> {
  return Float32Array.from(values);
}

Deno.test("savedFile() takes --from, and refuses what would have no effect beside it", () => {
  assertEquals(savedFile(["conv", "--json"]), undefined);
  assertEquals(savedFile(["--from", "run.json"]), "run.json");
  for (const other of [["conv"], ["--rounds", "3"], ["--json"], ["--save", "a"]]) {
    assertThrows(() => savedFile(["--from", "run.json", ...other]), Error, "--from prints");
  }
});

Deno.test("measure() leaves out a program that fails while it is timed", async () => {
  const task = { section: "s", name: "t" }, skipped = new SkippedPrograms();
  const entry = (name: string, runs: number) => {
    const peer = { name, version: "1", threads: 1, dispose() {} };
    const output = () => Promise.resolve(floats(1, 2));
    const run = () =>
      runs-- > 0 ? Promise.resolve(300) : Promise.reject(new Error("lost\nits GPU"));
    return { peer, task, work: { run, output } };
  };
  const entries = [entry("pembroke", 9), entry("other", 4)];
  const options = { label: "x", rounds: 3, skipped };
  const [{ results }] = await measure(entries, options);
  assertEquals(results.map(({ program, reference, ms }) => [program, reference, ms?.median]), [
    ["pembroke", true, 300],
  ]);
  assertEquals(skipped.entries, [{ name: "other t", reason: "lost" }]);
  const failing = [entry("pembroke", 4), entry("other", 9)];
  await assertRejects(() => measure(failing, options), Error, "lost");
});

Deno.test("Server.start() stops a program that prints no port", async () => {
  const program = "console.log(Deno.pid); setInterval(() => {}, 1000)";
  const args = ["eval", "--quiet", program], options = { startMs: 2000 };
  const error = await assertRejects(
    () => Server.start(Deno.execPath(), args, /port (\d+)/, options),
    Error,
    "no port in: ",
  );
  const pid = Number(/\d+/.exec(error.message)?.[0]);
  assert(pid > 0, error.message);
  assertThrows(() => Deno.kill(pid, "SIGCONT"), Deno.errors.NotFound);
});
