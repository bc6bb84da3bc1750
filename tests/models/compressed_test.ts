/** Networks of compressed weights: which one a file belongs to, and what it predicts. */

import { createBackend } from "../../src/backend/mod.ts";
import { parameterShapes } from "../../src/layers/parameter.ts";
import { createModel, loadModel, summarize } from "../../src/models/mod.ts";
import { caffe227Preprocessing } from "../../src/models/bvlc_alexnet.ts";
import { describeWeights } from "../../src/models/recognize.ts";
import { checkWeights } from "../../src/weights/check.ts";
import { convertWeights } from "../../src/weights/convert.ts";
import { compressedNetworks } from "../../src/weights/deep_compression/networks.ts";
import { assert, assertEquals } from "../assert.ts";
import { FuzzRandom } from "../fuzz/random.ts";
import {
  deepCompressed,
  type LayerToWrite,
  randomLayer,
} from "../weights/deep_compression/writer.ts";
import { open } from "../weights/helpers.ts";

/** SqueezeNet with random weights, of which few are stored. */
function squeezenet(): Uint8Array {
  const random = new FuzzRandom(3), next = () => random.next();
  const layers: Record<string, LayerToWrite> = {};
  for (const { name } of compressedNetworks.get("squeezenet1_0")!) {
    layers[name] = randomLayer("squeezenet1_0", name, next, 0.06).layer;
  }
  return deepCompressed("squeezenet1_0", layers);
}

const photo = {
  width: 260,
  height: 240,
  data: Uint8Array.from({ length: 260 * 240 * 3 }, (_, i) => 128 + 120 * Math.sin(i * 0.013)),
};

Deno.test("compressed weights decide on their network, with Caffe's preprocessing", async () => {
  for (const network of ["squeezenet1_0", "bvlc_alexnet"] as const) {
    using file = await open(deepCompressed(network));
    using model = createModel(network);
    checkWeights(file, parameterShapes(model), network);
    const { architecture, preprocessing, classes } = describeWeights(file)!;
    assertEquals([architecture, preprocessing], [network, caffe227Preprocessing]);
    assertEquals([classes.length, classes[0].label], [1000, "tench, Tinca tinca"]);
  }
});

Deno.test("BVLC AlexNet has Caffe's layers, parameters and multiply-adds", () => {
  using model = createModel("bvlc_alexnet");
  const { parameters, macs, layers } = summarize(model, model.inputShape());
  assertEquals([parameters, macs], [60_965_224, 724_406_816]);
  const shapes = layers.filter(({ name }) => /^pool/.test(name)).map((layer) => layer.outputShape);
  assertEquals(shapes, [[1, 96, 27, 27], [1, 256, 13, 13], [1, 256, 6, 6]]);
});

Deno.test("compressed SqueezeNet predicts as the same weights in a safetensors file", async () => {
  const bytes = squeezenet();
  using backend = await createBackend({ threads: 1 });
  using compressed = await loadModel({ backend, weights: bytes });
  assertEquals(compressed.inputShape(), [1, 3, 227, 227]);
  const predictions = await compressed.classify(photo);
  assert(predictions[0].probability > 1.1 * predictions[4].probability);

  const plain = new Uint8Array(6e6);
  using file = await open(bytes);
  const sink = { write: (at: number, chunk: Uint8Array) => plain.set(chunk, at) };
  const size = await convertWeights(file, sink, { precision: "f32" });
  using other = await loadModel({
    backend,
    weights: plain.subarray(0, size),
    preprocessing: caffe227Preprocessing,
  });
  assertEquals(await other.classify(photo), predictions);
});
