/**
 * Files that are small but expensive to read. Run as a program, this opens each of them and prints
 * what it took as JSON, so that nothing else in the process is measured.
 */

import { bytesSource, openWeights } from "../../src/weights/mod.ts";
import type { ByteSource } from "../../src/weights/io/source.ts";
import { streamSource } from "../../src/weights/io/stream_source.ts";
import { onnxNetwork } from "../../src/models/onnx/convert.ts";
import { OnnxFile } from "../../src/weights/onnx/reader.ts";
import { DeepCompressedFile } from "../../src/weights/deep_compression/reader.ts";
import { compressedNetworks, layerParts } from "../../src/weights/deep_compression/networks.ts";
import { elements } from "../../src/tensor.ts";
import { joinBytes } from "../bytes.ts";
import { bytes, le, legacy, pth, py, safetensors, tensor } from "./helpers.ts";
import { type Cost, measure } from "./measure.ts";
import {
  field,
  float,
  floats as floatTensor,
  int,
  node,
  onnx,
  port,
  tensor as onnxTensor,
} from "./onnx/helpers.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Joins many parts. */
function join(count: number, part: (i: number) => Uint8Array): Bytes {
  return joinBytes(Array.from({ length: count }, (_, i) => part(i)));
}

function repeat(count: number, code: Uint8Array): Bytes {
  const repeated = new Uint8Array(count * code.length);
  repeated.set(code);
  for (let done = code.length; done < repeated.length; done *= 2) {
    repeated.copyWithin(done, 0, done);
  }
  return repeated;
}

const inTuple = (count: number, code: Uint8Array) => bytes("(", repeat(count, code), "t");

/** Pickles, opened in the zip, legacy and stream format. */
const pickles: Record<string, () => Uint8Array> = {
  "dicts with copies of 1000 pairs": () =>
    bytes(
      ...["(", py.global("collections", "OrderedDict"), "q\0"],
      ...["](", repeat(1000, bytes(py.int(1), "N", [0x86])), "e", [0x85], "q\x01"],
      ...[repeat(320_000, bytes("h\0h\x01R")), "t"],
    ),
  "copies of one dict": () =>
    bytes(
      ...["(", py.global("collections", "Counter"), "q\0"],
      ...["}(", join(1000, (i) => bytes(py.text(`${i}`), "N")), "u", [0x85], "q\x01"],
      ...[repeat(320_000, bytes("h\0h\x01R")), "t"],
    ),
  "dicts of a list without pairs": () =>
    bytes(
      ...["(", py.global("collections", "OrderedDict"), "q\0"],
      ...["](", repeat(20_000, bytes("N")), "eq\x01(", repeat(40_000, bytes("h\x01")), "t"],
      ...["q\x02h\0h\x02Rt"],
    ),
  "dicts of 20 000 arguments": () =>
    bytes(
      ...["(", py.global("collections", "OrderedDict"), "q\0"],
      ...[inTuple(20_000, bytes("N")), "q\x01", repeat(40_000, bytes("h\0h\x01R")), "t"],
    ),
  "a long key, used again and again": () => {
    const key = bytes(py.text("a".repeat(2e6)), "q"); // two texts, which are compared
    return bytes(key, [0], key, [1], "}h\0Ns(", repeat(200_000, bytes("h\x01N")), "u");
  },
  nones: () => inTuple(990_000, bytes("N")),
  lists: () => inTuple(330_000, bytes("]Na")),
  "empty lists": () => inTuple(990_000, bytes("]")),
  "nested lists": () => bytes(repeat(490_000, bytes("]")), repeat(490_000, bytes("a"))),
  dicts: () => inTuple(240_000, bytes("}U\0Ns")),
  "a large dict": () => bytes("}(", join(130_000, (i) => bytes("U", [6], `${i + 1e5}`, "N")), "u"),
  "a dict of dicts": () =>
    bytes("}(", join(120_000, (i) => bytes("U", [6], `${i + 1e5}`, "}")), "u"),
  "nested dicts": () =>
    bytes("}", repeat(200_000, bytes("U", [1], "a}")), repeat(200_000, bytes("s"))),
  tuples: () => inTuple(490_000, bytes("N", [0x85])),
  "a large memo": () => bytes("N", repeat(990_000, bytes([0x94]))),
  "a sparse memo": () =>
    bytes(
      "N",
      join(300_000, (i) => {
        const index = 1e6 + 7 * i;
        return Uint8Array.of(0x72, index, index >> 8, index >> 16, 0);
      }),
    ),
  longs: () => inTuple(300_000, bytes([0x8a, 32], new Uint8Array(32).fill(99))),
  floats: () => inTuple(990_000, bytes("G", [1, 2, 3, 4, 5, 6, 7, 8])),
  "empty texts": () => inTuple(990_000, bytes("U\0")),
  texts: () => inTuple(200_000, bytes("U", [60], "a".repeat(60))),
  "a long text": () => bytes("X", le(11_000_002, 4), "é", repeat(1, new Uint8Array(11_000_000))),
  "bytes without end": () => inTuple(990_000, bytes("C", [10], "abcdefghij")),
  marks: () => repeat(990_000, bytes("(")),
  globals: () => inTuple(490_000, py.global("torch", "Size")),
  storages: () =>
    bytes("}(", join(8_000, (i) => bytes(py.text(`t${i}`), tensor({ key: `k${i}` }))), "u"),
  "a shape of 400 000 sizes": () => {
    const storage = py.tuple(
      ...[py.text("storage"), py.global("torch", "FloatStorage"), py.text("0")],
      ...[py.text("cpu"), py.int(4)],
    );
    const view = bytes(py.global("torch._utils", "_rebuild_tensor_v2"), "(", storage, "Q");
    const one = (i: number) => bytes(py.text(`t${i}`), view, py.int(0), "h\0h\0", py.false, "tR");
    return bytes(inTuple(400_000, bytes("K\x01")), "q\x000}(", join(300, one), "u");
  },
};

const graph = (...parts: Uint8Array[]) =>
  bytes(int(1, 8), field(7, field(5, floatTensor("a", [1], 1)), ...parts));
const attribute = (content: Uint8Array) =>
  graph(field(1, field(4, "Relu"), field(5, field(1, "x"), content)));
const entry = (name: string, shape = "[0]") =>
  `"${name}":{"dtype":"F32","shape":${shape},"data_offsets":[0,0]}`;

/** A graph from v0 [1, 250 000], with as many numbers in c. */
const computing = (...parts: Uint8Array[]) => {
  const numbers = new Uint8Array(new Float32Array(250_000).fill(1.5).buffer);
  const list = field(5, field(1, "value_floats"), field(7, numbers), int(20, 6));
  const constant = field(1, bytes(node("Constant", [], ["c"]), list));
  const input = field(11, port("v0", 1, 250_000));
  return bytes(int(1, 8), field(7, constant, input, ...parts), field(8, int(2, 13)));
};

/** A graph from x [N, count] that computes r, as many numbers, in a file of as many bytes. */
const ranging = (count: number, ...nodes: Bytes[]) =>
  onnx({
    nodes: [node("Range", ["from", "to", "one"], ["r"]), ...nodes],
    tensors: [
      ...[floatTensor("from", [], 0.5), floatTensor("to", [], count + 0.5)],
      ...[
        floatTensor("one", [], 1),
        onnxTensor("pad", [count], 2, field(9, new Uint8Array(count))),
      ],
    ],
    inputs: [port("x", "N", count)],
    outputs: [port("y")],
  });

/** The nodes of a graph, of which each may be several. */
const nodesOf = (count: number, make: (i: number) => Bytes[]) =>
  Array.from({ length: count }, (_, i) => make(i)).flat();

/** The sum of many values. */
const sumOf = (name: string, count: number) =>
  node("Sum", Array.from({ length: count }, (_, i) => `${name}${i}`), ["y"]);

/** A zip archive of empty entries. */
function zipOf(count: number): Bytes {
  const name = (i: number) => String(1_000_000 + i);
  const local = join(count, (i) => bytes("PK\x03\x04", new Uint8Array(22), [7, 0, 0, 0], name(i)));
  const directory = join(count, (i) =>
    bytes(
      ...["PK\x01\x02", new Uint8Array(24), le(7, 2), new Uint8Array(12), le(37 * i, 4), name(i)],
    ));
  const end = bytes(
    ...["PK\x05\x06", new Uint8Array(8), le(directory.length, 4), le(local.length, 4), [0, 0]],
  );
  return bytes(local, directory, end);
}

/** Compressed weights of AlexNet of which every n-th is stored. */
function compressed(every: number): Bytes {
  const layers = compressedNetworks.get("bvlc_alexnet")!.map((layer) => {
    const stored = Math.ceil(elements(layer.shape) / every);
    const { codebook, bias, codes, gaps } = layerParts(layer, stored);
    return { stored, codebook: codebook + bias + codes, gaps };
  });
  const gap = every - 1;
  return bytes(
    ...layers.map(({ stored }) => le(stored, 4)),
    ...layers.flatMap(({ codebook, gaps }) => [
      new Uint8Array(codebook),
      new Uint8Array(gaps).fill(gap + 16 * gap),
    ]),
  );
}

/** Other files. */
const files: Record<string, () => Uint8Array> = {
  "ONNX: 130 000 sizes": () =>
    graph(field(5, repeat(130_000, int(1, 1)), int(2, 1), field(8, "w"))),
  "ONNX: 250 000 values": () =>
    graph(field(5, int(1, 250_000), int(2, 7), field(8, "w"), repeat(250_000, int(7, 1)))),
  "ONNX: values in many packed fields": () =>
    graph(field(5, int(2, 7), field(8, "w"), repeat(90_000, field(7, repeat(40, bytes("\x01")))))),
  "ONNX: packed values": () =>
    onnx({ tensors: [onnxTensor("w", [4e6], 7, field(7, repeat(4e6, bytes("\x01"))))] }),
  "ONNX: floats of an attribute": () => attribute(repeat(120_000, float(7, 1))),
  "ONNX: integers of an attribute": () => attribute(repeat(250_000, int(8, 1))),
  "ONNX: packed integers of an attribute": () => attribute(field(8, repeat(4e6, bytes("\x01")))),
  "ONNX: attributes": () => graph(field(1, join(70_000, (i) => field(5, field(1, `a${i}`))))),
  "ONNX: empty nodes": () => graph(repeat(250_000, bytes([0x0a, 0]))),
  "ONNX: inputs": () => graph(repeat(250_000, bytes([0x5a, 0]))),
  "ONNX: sizes of an input": () =>
    graph(field(11, field(2, field(1, field(2, repeat(100_000, field(1, int(1, 1)))))))),
  "ONNX: tensors": () => graph(join(25_000, (i) => field(5, floatTensor(`t${i}`, [1], 1)))),
  "ONNX: unknown fields": () => graph(repeat(260_000, bytes([0x50, 0]))),
  "ONNX: constant nodes": () =>
    graph(
      join(26_000, (i) => field(1, node("Constant", [], [`c${i}`], { value_float: { float: i } }))),
    ),
  "ONNX: a chain of constants": () =>
    graph(join(20_000, (i) => field(1, node("Identity", [i ? `v${i}` : "a"], [`v${i + 1}`])))),
  "ONNX: a chain of layers": () =>
    bytes(
      int(1, 8),
      field(
        7,
        ...[field(5, floatTensor("a", [1], 1)), field(11, port("v0", 1, 3, 8, 8))],
        join(12_000, (i) => field(1, node("Relu", [`v${i}`], [`v${i + 1}`]))),
        field(12, port("v12000", 1, 5)),
      ),
    ),
  "ONNX: layers with many numbers of their own": () =>
    computing(
      join(500, (i) =>
        bytes(
          field(1, node("Div", [`v${i}`, "c"], [`q${i}`])),
          field(1, node("Relu", [`q${i}`], [`v${i + 1}`])),
        )),
      field(12, port("v500", 1, 5)),
    ),
  "ONNX: scales of groups, repeated for each channel": () =>
    onnx({
      nodes: [node("GroupNormalization", ["x", "s", "s"], ["y"], { num_groups: 2 })],
      tensors: [floatTensor("s", [2], 1, 2)],
      inputs: [port("x", 1, 2 ** 25, 1)],
      outputs: [port("y")],
      opset: 18,
    }),
  "ONNX: nodes that compute too much and fail": () =>
    computing(
      join(3000, (i) => field(1, node("Exp", ["c"], [`e${i}`]))),
      field(1, bytes(join(3000, (i) => field(1, `e${i}`)), node("Sum", [], ["y"]))),
      field(12, port("y", 1, 5)),
    ),
  "ONNX: products of large matrices": () =>
    ranging(
      512 * 512,
      node("Constant", [], ["square"], { value_ints: [512, 512] }),
      node("Reshape", ["r", "square"], ["m0"]),
      ...nodesOf(10, (i) => [node("MatMul", [`m${i}`, "m0"], [`m${i + 1}`])]),
      node("ReduceMax", ["m10"], ["largest"]),
      node("Mul", ["x", "largest"], ["y"]),
    ),
  "ONNX: a large condition of many nodes": () =>
    ranging(
      90_000,
      node("Greater", ["r", "one"], ["c"]),
      ...nodesOf(3000, (i) => [node("Where", ["c", "x", "one"], [`v${i}`])]),
      sumOf("v", 3000),
    ),
  "ONNX: large values at a time": () =>
    ranging(
      1 << 19,
      ...nodesOf(30, (i) => [node("Exp", ["r"], [`e${i}`])]),
      ...nodesOf(30, (i) => [node("Mul", ["x", `e${i}`], [`v${i}`])]),
      sumOf("v", 30),
    ),
  "ONNX: layers with different large constants": () =>
    ranging(
      1 << 18,
      ...nodesOf(16, (i) => [
        node("Exp", ["r"], [`e${i}`]),
        node("Div", ["x", `e${i}`], [`q${i}`]),
        node("Relu", [`q${i}`], [`v${i}`]),
      ]),
      sumOf("v", 16),
    ),
  "ONNX: large integers that no node takes": () =>
    onnx({
      nodes: [node("Neg", ["x"], ["y"])],
      tensors: Array.from({ length: 20 }, (_, i) =>
        onnxTensor(`i${i}`, [65_536], 7, field(9, new Uint8Array(8 * 65_536)))),
      inputs: [port("x", "N", 3)],
      outputs: [port("y")],
    }),
  "ONNX: large integers that many nodes take": () =>
    onnx({
      nodes: [
        ...nodesOf(60, (i) => [node("Not", [`i${i}`], [`n${i}`])]),
        ...nodesOf(60, (i) => [node("ReduceMax", [`n${i}`], [`m${i}`], { keepdims: 0 })]),
        ...nodesOf(60, (i) => [node("Mul", ["x", `m${i}`], [`v${i}`])]),
        sumOf("v", 60),
      ],
      tensors: Array.from({ length: 60 }, (_, i) =>
        onnxTensor(`i${i}`, [65_536], 9, field(9, new Uint8Array(65_536)))),
      inputs: [port("x", "N", 3)],
      outputs: [port("y")],
    }),
  "ONNX: metadata": () =>
    bytes(graph(), join(30_000, (i) => field(14, field(1, `k${i}`), field(2, "v")))),
  "safetensors: tensors": () =>
    safetensors(`{${Array.from({ length: 100_000 }, (_, i) => entry(`n${i}`)).join()}}`),
  "safetensors: 39 000 tensors": () =>
    safetensors(`{${Array.from({ length: 39_000 }, (_, i) => entry(`n${i}`)).join()}}`),
  "safetensors: sizes": () => safetensors(`{${entry("a", `[${"1,".repeat(3e6)}1]`)}}`),
  "safetensors: metadata": () =>
    safetensors(
      `{"__metadata__":{${Array.from({ length: 400_000 }, (_, i) => `"${i}":"x"`).join()}}}`,
    ),
  "safetensors: spaces": () => safetensors(`{${" ".repeat(8e6)}}`),
  "safetensors: a long name": () => safetensors(`{${entry("a".repeat(8e6))}}`),
  "safetensors: an escaped name": () => safetensors(`{${entry("\\u20ac".repeat(1.3e6))}}`),
  "safetensors: a long header": () => bytes([0, 0, 0, 2, 0, 0, 0, 0], "{", repeat(4e7, bytes(" "))),
  "an index of tensors": () =>
    bytes(
      `{"weight_map":{${Array.from({ length: 300_000 }, (_, i) => `"${i}":"x"`).join()}}}`,
    ),
  "an index with nested metadata": () => bytes(`{"metadata":${"[".repeat(8e6)}`),
  "deep compression: one weight in 16": () => compressed(16),
  "deep compression: all weights": () => compressed(1),
  "a zip directory": () => zipOf(20_000),
};

/** What opening a file took. */
export interface Result extends Cost {
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  /** The error, or the number of tensors. */
  readonly outcome: string;
}

const collectGarbage = (globalThis as { gc?: () => void }).gc;

/**
 * A stream of a file. Every few megabytes it frees the chunks that nothing refers to, because the
 * engine frees them at any time, and they are not what reading takes.
 */
function streamOf(file: Uint8Array): Promise<ByteSource> {
  const chunk = 1 << 16;
  let at = 0;
  const next = () => {
    if (at % (1 << 22) === 0) collectGarbage?.();
    return Promise.resolve(at < file.length ? file.slice(at, at += chunk) : undefined);
  };
  return streamSource({ next, cancel: () => Promise.resolve() }, "x", file.length);
}

async function openAndMeasure(name: string, file: Uint8Array, isStream = false): Promise<Result> {
  let outcome = "";
  collectGarbage?.();
  const cost = await measure(async () => {
    try {
      const source = isStream ? await streamOf(file) : bytesSource(file, "x");
      using weights = await openWeights(source);
      outcome = `${weights.entries.size} tensors`;
      if (weights instanceof OnnxFile) await onnxNetwork(weights);
      if (weights instanceof DeepCompressedFile) { // decoded only when it is read
        for (const name of weights.order) await weights.read(name, () => {});
      }
    } catch (error) {
      outcome = String(error);
    }
  });
  return { name, size: file.length, outcome, ...cost };
}

/** Of the files, opens every n-th, or those with some text in their names; all without an argument. */
if (import.meta.main) {
  const [which = "1"] = Deno.args, every = Number(which);
  const print = (result: Result) => console.log(JSON.stringify(result));
  let index = 0;
  const isSelected = (name: string) => every > 0 ? index++ % every === 0 : name.includes(which);
  for (const [name, create] of Object.entries(pickles)) {
    if (!isSelected(name)) continue;
    const code = create();
    print(await openAndMeasure(`${name} (zip)`, pth(code)));
    print(await openAndMeasure(`${name} (legacy)`, legacy(code)));
    print(await openAndMeasure(`${name} (stream)`, pth(code), true));
  }
  for (const [name, create] of Object.entries(files)) {
    if (!isSelected(name)) continue;
    const file = create();
    print(await openAndMeasure(name, file));
    print(await openAndMeasure(`${name} (stream)`, file, true));
  }
}
