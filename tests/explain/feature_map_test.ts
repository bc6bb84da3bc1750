/** Where Grad-CAM looks: the last map of features of a network. */

import { PembrokeError } from "../../src/errors.ts";
import { bottlenecks, featureMapIndex, scoresIndex } from "../../src/explain/feature_map.ts";
import {
  AdaptiveAvgPool2d,
  BatchNorm2d,
  Conv2d,
  Flatten,
  GroupNorm,
  type Layer,
  LayerNorm,
  Linear,
  MatMul,
  Permute,
  ReLU,
  Reshape,
  Softmax,
} from "../../src/layers/mod.ts";
import { Classifier, createModel } from "../../src/models/mod.ts";
import { networkNames } from "../../src/models/registry.ts";
import { assert, assertEquals, assertThrows } from "../assert.ts";

const preprocessing = { resize: 8, crop: 8, mean: [0, 0, 0], std: [1, 1, 1] } as const;
const classes = [{ wnid: "", label: "a" }, { wnid: "", label: "b" }];

Deno.test("the map of features is the last one before pooling, in every network", () => {
  const sizes = new Map<string, string>();
  for (const name of networkNames) {
    using model = createModel(name);
    const at = featureMapIndex(model), { nodes } = model.expand();
    const [, , height, width] = model.shapes(model.inputShape())[at];
    const key = `${nodes[at].layer.type} ${height}×${width}`;
    sizes.set(key, `${sizes.get(key) ?? ""} ${name}`.trim());
    assertEquals(scoresIndex(model), nodes.length - 1);
  }
  for (const [key, names] of sizes) {
    assert(/^(ReLU6?|Hardswish|SiLU|Concat|BatchNorm2d) /.test(key), `${key}: ${names}`);
  }
  assertEquals(sizes.get("ReLU 13×13")?.split(" ").sort(), [
    "alexnet",
    "bvlc_alexnet",
    "squeezenet1_0",
    "squeezenet1_1",
  ]);
});

Deno.test("bottlenecks are the values that all paths lead through", () => {
  const node = (...inputs: number[]) => ({ name: "", layer: new Flatten(), inputs });
  // 0 → (1, 2) → 3 → 4, and 5 aside
  const nodes = [node(-1), node(0), node(0), node(1, 2), node(3), node(3)];
  assertEquals(bottlenecks(nodes, 4), [4, 3, 0]);
  assertEquals(bottlenecks([...nodes, node(4, -1)], 6), [6]);
});

Deno.test("values with the channels last are no maps, and are again when permuted back", () => {
  const conv = new Conv2d(3, 4, 2, { stride: 2 }), [last, first] = [[0, 2, 3, 1], [0, 3, 1, 2]];
  const featureMap = (...layers: Layer[]) => {
    using model = new Classifier([conv, ...layers], { preprocessing, classes });
    return featureMapIndex(model);
  };
  const end = [new Flatten(), new Linear(64, 2)];
  assertEquals(featureMap(new ReLU(), new Permute(last), new LayerNorm(4), ...end), 1);
  // as in ConvNeXt: its last normalisation is [1, 1, 1, C]
  const mixed = [new Permute(last), new LayerNorm(4), new Linear(4, 4), new Permute(first)];
  const pooled = [new AdaptiveAvgPool2d(1), new Permute(last), new LayerNorm(4), new Flatten()];
  assertEquals(featureMap(...mixed, ...pooled, new Linear(4, 2)), 4);
  // as PyTorch exports group normalisation
  const groups = [new Reshape([2, -1]), new GroupNorm(2, 2), new Reshape([4, 4, 4])];
  assertEquals(featureMap(...groups, new ReLU(), ...end), 4);
  const moved = [new Reshape([2, 2, 4, 4]), new Permute([0, 2, 1, 3, 4]), new Reshape([4, 4, 4])];
  assertEquals(featureMap(...moved, new ReLU(), ...end), 0);
});

Deno.test("patches of an image are no map of features if only attention follows", () => {
  const make = (...stem: Layer[]) =>
    new Classifier([
      ...stem.map((layer, i) => ({ name: `stem${i}`, layer })),
      { name: "tokens", layer: new Reshape([4, 16]) },
      { name: "scores", layer: new MatMul({ transposeB: true }), inputs: ["tokens", "tokens"] },
      { name: "weights", layer: new Softmax() },
      { name: "mixed", layer: new MatMul(), inputs: ["weights", "tokens"] },
      { name: "features", layer: new Flatten() },
      { name: "head", layer: new Linear(64, 2) },
    ], { preprocessing, classes });
  using patches = make(new Conv2d(3, 4, 2, { stride: 2 }));
  assertThrows(() => featureMapIndex(patches), PembrokeError, "cuts the image into patches");
  using features = make(new Conv2d(3, 4, 2, { stride: 2 }), new ReLU());
  assertEquals(featureMapIndex(features), 1);
  // bilinear pooling multiplies features of convolutions, too
  using pooled = new Classifier([
    { name: "conv", layer: new Conv2d(3, 4, 3, { stride: 2, padding: 1 }) },
    { name: "norm", layer: new BatchNorm2d(4) },
    { name: "rows", layer: new Reshape([4, 16]) },
    { name: "products", layer: new MatMul({ transposeB: true }), inputs: ["rows", "rows"] },
    { name: "features", layer: new Flatten() },
    { name: "head", layer: new Linear(16, 2) },
    { name: "probabilities", layer: new Softmax() },
  ], { preprocessing, classes });
  assertEquals(featureMapIndex(pooled), 1);
});
