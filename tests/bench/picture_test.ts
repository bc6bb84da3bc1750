import { assert, assertEquals, assertThrows } from "../assert.ts";
import { picture } from "../../bench/lib/picture.ts";
import type { Measurement, NetworkTask, Result, Run } from "../../bench/lib/results.ts";

function result(program: string, threads: number, ms: number, rest: Partial<Result> = {}): Result {
  return {
    program,
    version: "1",
    threads,
    reference: false,
    error: 0,
    tolerance: 1e-3,
    ms: { min: ms, p25: ms, median: ms, p75: ms, max: ms },
    ...rest,
  };
}

function measured(
  name: string,
  results: readonly Result[],
  rest: Partial<NetworkTask> = {},
): Measurement {
  const network: NetworkTask = { name, pass: "forward", batch: 1, ...rest };
  return { task: { section: "Networks", name, network }, rounds: 1, results, machine: [] };
}

function run(...measured: Measurement[]): Run {
  const machine = { processor: "A & B", cores: 2, runtime: "Deno" };
  return { ...machine, threads: [1, 2], measured, leftOut: [] };
}

/** The texts in a chart with a class, in order. */
function texts(svg: string, look: string): string[] {
  const all = svg.matchAll(/<text [^>]*?(?: class="([^"]*)")?>([^<]*)<\/text>/g);
  return [...all].filter(([, looks = ""]) => looks === look).map(([, , text]) => text);
}

/** The labels and classes of all marks with a label. */
function marks(svg: string): string[] {
  const all = svg.matchAll(/class="mark ([^"]*)"[^>]*><title>([^<]*)<\/title>/g);
  return [...all].map(([, look, label]) => `${look}: ${label}`);
}

const ourStyle = "blue bold small end";

Deno.test("picture() has a row for each network, and a column for each batch and thread", () => {
  const svg = picture(run(
    measured("resnet18", [result("pembroke", 1, 20), result("pembroke", 2, 12)]),
    measured("resnet18", [result("pembroke", 1, 160)], { batch: 8 }),
    measured("alexnet", [result("pembroke", 1, 30)]),
    measured("alexnet", [result("pembroke", 1, 400)], { batch: 8, pass: "training step" }),
  ));
  assertEquals(texts(svg, ""), ["resnet18", "alexnet", "alexnet"]);
  assertEquals(texts(svg, "bold"), ["batch 1", "batch 8", "forward", "training step"]);
  // By columns: batch 1, then batch 8, each with 1 and 2 threads.
  assertEquals(texts(svg, ourStyle), ["20.0", "30.0", "12.0", "–", "160", "–", "400", "–"]);
  assert(svg.includes("A &amp; B"), "text must be escaped");
});

Deno.test("picture() marks each peer's ratio to our time, hollow with fewer threads", () => {
  const svg = picture(run(measured("resnet18", [
    result("pembroke", 1, 20),
    result("pembroke", 2, 10),
    result("tfjs-wasm", 1, 40),
    result("pytorch", 1, 30),
    result("pytorch", 2, 15),
    result("snail", 1, 9000, { once: true }),
    result("onnxruntime-web", 1, 0, { ms: null }),
  ])));
  assertEquals(marks(svg), [
    "purple: tfjs-wasm: 40.0 ms, 2.00×",
    "gray: native PyTorch: 30.0 ms, 1.50×",
    "purple hollow: tfjs-wasm: 40.0 ms, 4.00×",
    "gray: native PyTorch: 15.0 ms, 1.50×",
  ]);
  assertEquals(texts(svg, "soft small middle"), ["½×", "1×", "2×", "4×", "½×", "1×", "2×", "4×"]);
});

Deno.test("picture() places marks on a logarithmic scale", () => {
  const at = (ms: number) => {
    const results = [result("pembroke", 1, 10), result("tfjs-wasm", 1, ms)];
    const svg = picture({ ...run(measured("resnet18", results)), threads: [1] });
    return Number(/<path class="mark purple" d="M([\d.]+) [^>]*><title>/.exec(svg)![1]);
  };
  assertEquals(at(20) - at(10), at(10) - at(5));
});

Deno.test("picture() shows our times with two threads, even if one thread was faster", () => {
  const results = [result("pembroke", 1, 10), result("pembroke", 2, 20)];
  assertEquals(texts(picture(run(measured("resnet18", results))), ourStyle), ["10.0", "20.0"]);
});

Deno.test("picture() throws if there are no results for networks", () => {
  const { task: { name, section }, ...rest } = measured("conv1", []);
  const other = run({ ...rest, task: { name, section } });
  assertThrows(() => picture(other), Error, "no results for networks");
});
