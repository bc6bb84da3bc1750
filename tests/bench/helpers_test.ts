import { assert, assertEquals, assertThrows } from "../assert.ts";
import { relativeError } from "../../bench/lib/agreement.ts";
import { readArguments } from "../../bench/lib/options.ts";
import { type Contender, interleave } from "../../bench/lib/rounds.ts";
import { summarise } from "../../bench/lib/stats.ts";
import { table } from "../../bench/lib/table.ts";
import { convModel } from "../../bench/peers/onnx_model.ts";

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
    run: () => Promise.resolve(turns.push(name)),
  });
  const timings = await interleave([contender("a"), contender("b")], { warmUp: 1, rounds: 2 });
  assertEquals(turns.join(""), "ababab");
  assertEquals(timings, [[3, 5], [4, 6]]);
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
  const known = { suites: ["one", "two"], programs: ["a", "b"], cores: 4 };
  assertEquals(readArguments([], known).suites, ["one", "two"]);
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
});

Deno.test("convModel() returns an ONNX model of one convolution with its weights", () => {
  const weight = new Float32Array(200 * 3 * 5 * 5).map((_, i) => i);
  const model = fields(convModel({
    layer: {
      op: "conv",
      name: "c",
      inChannels: 3,
      outChannels: 200,
      kernel: 5,
      stride: 2,
      padding: 1,
    },
    xShape: [1, 3, 9, 9],
    weightShape: [200, 3, 5, 5],
    yShape: [1, 200, 4, 4],
    x: floats(),
    weight,
    dy: floats(),
  }));
  assertEquals(only(model, 1), 8); // ir_version
  assertEquals(only(fields(only(model, 8)), 2), 17); // opset_import.version

  const graph = fields(only(model, 7));
  const node = fields(only(graph, 1));
  assertEquals(all(node, 1).map(string), ["input", "weight"]);
  assertEquals(string(only(node, 2)), "output");
  assertEquals(string(only(node, 4)), "Conv");
  const attributes = all(node, 5).map(fields).map((a) => [string(only(a, 1)), all(a, 8)]);
  assertEquals(Object.fromEntries(attributes), {
    kernel_shape: [5, 5],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  });

  const tensor = fields(only(graph, 5));
  assertEquals(all(tensor, 1), [200, 3, 5, 5]); // 200 takes a varint of two bytes
  assertEquals(new Float32Array((only(tensor, 9) as Uint8Array).slice().buffer), weight);
  assertEquals(string(only(fields(only(graph, 11)), 1)), "input");
  assertEquals(string(only(fields(only(graph, 12)), 1)), "output");
});

function floats(...values: number[]): Float32Array<ArrayBuffer> {
  return Float32Array.from(values);
}

type Field = readonly [number: number, value: number | Uint8Array];

/** Parses a protobuf message. Nested messages are bytes. */
function fields(bytes: number | Uint8Array): Field[] {
  assert(bytes instanceof Uint8Array, "not a message");
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1;; scale *= 128) {
      value += (bytes[at] & 127) * scale;
      if (bytes[at++] < 128) return value;
    }
  };
  const result: Field[] = [];
  while (at < bytes.length) {
    const key = varint(), value = varint();
    if (key % 8 === 0) result.push([key >> 3, value]);
    else result.push([key >> 3, bytes.subarray(at, at += value)]);
  }
  assertEquals(at, bytes.length);
  return result;
}

function all(message: readonly Field[], number: number): (number | Uint8Array)[] {
  return message.filter(([n]) => n === number).map(([, value]) => value);
}

function only(message: readonly Field[], number: number): number | Uint8Array {
  const values = all(message, number);
  assertEquals(values.length, 1, `fields ${number}`);
  return values[0];
}

function string(value: number | Uint8Array): string {
  return new TextDecoder().decode(value as Uint8Array);
}
