import { FileError } from "../../../src/errors.ts";
import { bytesSource, openWeights, type WeightsFile } from "../../../src/weights/mod.ts";
import {
  type CompressedNetwork,
  compressedNetworks,
} from "../../../src/weights/deep_compression/networks.ts";
import { DeepCompressedFile } from "../../../src/weights/deep_compression/reader.ts";
import { assert, assertEquals, assertRejects } from "../../assert.ts";
import { FuzzRandom } from "../../fuzz/random.ts";
import { assertCannotOpen, chunkedSource, le, open, readAll } from "../helpers.ts";
import { deepCompressed, type LayerToWrite, randomLayer } from "./writer.ts";

/** Random layers, and what reading them must give. */
function randomLayers(
  network: CompressedNetwork,
  names: readonly string[],
  others: Readonly<Record<string, LayerToWrite>> = {},
) {
  const random = new FuzzRandom(7), next = () => random.next();
  const layers: Record<string, LayerToWrite> = {}, tensors = new Map<string, Float32Array>();
  for (const [i, name] of names.entries()) {
    const { layer, weights } = randomLayer(network, name, next, [0.1, 0.3, 0.03][i % 3]);
    layers[name] = layer;
    tensors.set(`${name}.weight`, weights).set(`${name}.bias`, layer.bias);
  }
  return { bytes: deepCompressed(network, { ...layers, ...others }), tensors };
}

/** A layer of 4096 outputs with a single weight, 5, behind many bridges. */
function farLayer(index: number): LayerToWrite {
  const codebook = new Float32Array(16).fill(5, 3);
  return { indices: [index], codes: [3], codebook, bias: new Float32Array(4096) };
}

async function assertReads(file: WeightsFile, tensors: ReadonlyMap<string, Float32Array>) {
  for (const name of file.order) {
    const expected = tensors.get(name);
    if (!expected) continue;
    const actual = await readAll(file, name);
    assert(actual.every((value, i) => value === expected[i]) && actual.length > 0, name);
  }
}

Deno.test("compressed SqueezeNet has torchvision's names, shapes and values", async () => {
  const layers = compressedNetworks.get("squeezenet1_0")!;
  const names = layers.map(({ name }) => name).filter((name) => !/expand3x3|classifier/.test(name));
  const { bytes, tensors } = randomLayers("squeezenet1_0", names);
  using file = await open(bytes);
  assert(file instanceof DeepCompressedFile);
  assertEquals([file.format, file.network], ["deep-compression", "squeezenet1_0"]);
  assertEquals(file.order, layers.flatMap(({ name }) => [`${name}.weight`, `${name}.bias`]));
  assertEquals(file.order.slice(0, 4), [
    ...["features.0.weight", "features.0.bias"],
    ...["features.3.squeeze.weight", "features.3.squeeze.bias"],
  ]);
  assertEquals(file.entries.get("features.12.expand3x3.weight"), {
    name: "features.12.expand3x3.weight",
    dtype: "F32",
    shape: [256, 64, 3, 3],
  });
  assertEquals(file.entries.get("classifier.1.bias")!.shape, [1000]);
  await assertReads(file, tensors);
});

Deno.test("compressed AlexNet has groups, and codes of four bits in fully connected layers", async () => {
  const fc8 = {
    ...farLayer(20),
    indices: [1, 18, 19],
    codes: [4, 3, 15],
    bias: new Float32Array(1000),
  };
  fc8.codebook[15] = -1;
  // conv3 stores more weights than are read at a time
  const { bytes, tensors } = randomLayers("bvlc_alexnet", ["conv1", "conv3"], { fc8 });
  using file = await open(bytes);
  assert(file instanceof DeepCompressedFile);
  assertEquals(file.network, "bvlc_alexnet");
  assertEquals(file.entries.get("conv2.weight")!.shape, [256, 48, 5, 5]);
  assertEquals(file.entries.get("fc6.weight")!.shape, [4096, 9216]);
  await assertReads(file, tensors);
  const weights = await readAll(file, "fc8.weight");
  assertEquals([...weights.subarray(0, 21)], [0, 5, ...Array(16).fill(0), 5, -1, 0]);
});

Deno.test("compressed weights are read from a stream, also of unknown length", async () => {
  const last = 4096 * 4096 - 1, fc7 = farLayer(last);
  const { bytes, tensors } = randomLayers("bvlc_alexnet", ["conv1", "conv3"], { fc7 });
  assert(bytes.length > 2 ** 20); // more than a stream keeps
  for (const size of [bytes.length, undefined]) {
    using file = await openWeights(await chunkedSource(bytes, { chunk: 65536, size }));
    await assertReads(file, tensors);
    const found: number[] = [];
    await file.read("fc7.weight", (values, offset) => {
      const at = values.indexOf(5);
      if (at >= 0) found.push(offset + at);
    });
    assertEquals(found, [last]);
  }
  using cut = await openWeights(await chunkedSource(bytes.subarray(0, -1), { chunk: 65536 }));
  await assertRejects(() => readAll(cut, "fc8.weight"), FileError, "truncated");
});

Deno.test("compressed weights can be read again, and by two readers at once", async () => {
  const { bytes, tensors } = randomLayers("bvlc_alexnet", ["conv1"]);
  using file = await open(bytes);
  const read = () => assertReads(file, tensors);
  await read();
  await Promise.all([read(), read()]);
});

Deno.test("weights that are not stored have the first code", async () => {
  const codebook = new Float32Array(256).fill(NaN);
  codebook.set([0.5, 2]);
  const layer = { indices: [14111], codes: [1], codebook, bias: new Float32Array(96) };
  using file = await open(deepCompressed("squeezenet1_0", { "features.0": layer }));
  const weights = await readAll(file, "features.0.weight");
  assertEquals(weights, new Float32Array(14112).fill(0.5).with(14111, 2));
});

Deno.test("compressed weights of another size than their counts say are refused", async () => {
  const bytes = deepCompressed("squeezenet1_0"), { length } = bytes;
  const refused = (size: number) =>
    "starts like the compressed weights of squeezenet1_0, but has " +
    `${size} bytes instead of ${length}: truncated or damaged`;
  await assertCannotOpen(bytes.subarray(0, -1), refused(length - 1));
  await assertCannotOpen(new Uint8Array([...bytes, 0]), refused(length + 1));
  await assertCannotOpen(bytes.subarray(0, 104), refused(104));
});

Deno.test("counts that do not fit a layer are refused", async () => {
  const unknown = "is not a PyTorch .pth, safetensors or ONNX file";
  for (const count of [0, 34849, 2 ** 32 - 1]) {
    const bytes = deepCompressed("squeezenet1_0");
    bytes.set(le(count, 4));
    await assertCannotOpen(bytes, unknown);
  }
  await assertCannotOpen(deepCompressed("bvlc_alexnet").subarray(0, 31), unknown);
  await assertCannotOpen(new Uint8Array(1000), unknown);
});

Deno.test("gaps that lead beyond a layer are refused", async () => {
  const codebook = new Float32Array(256), bias = new Float32Array(96);
  const layer = { indices: [14112], codes: [1], codebook, bias };
  using file = await openWeights(
    bytesSource(deepCompressed("squeezenet1_0", { "features.0": layer }), "x"),
  );
  const error = await assertRejects(() => readAll(file, "features.0.weight"), FileError);
  const reason = "features.0.weight has 14112 elements, but its gaps lead to element 14112";
  assertEquals(error.message, `x: ${reason}: damaged`);
  await readAll(file, "features.3.squeeze.weight");
});
