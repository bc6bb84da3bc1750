import { AlexNetTiny, summarize } from "../../src/models/mod.ts";
import { assert, assertEquals } from "../assert.ts";

Deno.test("AlexNetTiny has five convolutions, three poolings and an output for each class", () => {
  const model = new AlexNetTiny({ numClasses: 7 });
  const { layers, parameters } = summarize(model, model.inputShape(2));
  const counts = new Map<string, number>();
  for (const { type } of layers) counts.set(type, (counts.get(type) ?? 0) + 1);
  assertEquals([counts.get("Conv2d"), counts.get("MaxPool2d")], [5, 3]);
  assertEquals(counts.has("BatchNorm2d"), false);
  assertEquals(layers.at(-1)?.outputShape, [2, 7]);
  assert(parameters * 2 <= 8e6, "its float16 file must be smaller than 8 MB");
});

Deno.test("batchNorm adds a normalisation after each convolution and removes its bias", () => {
  const types = new AlexNetTiny({ batchNorm: true }).leaves().map(([, { type }]) => type);
  const next = types.flatMap((type, i) => type === "Conv2d" ? [types[i + 1]] : []);
  assertEquals(next, Array(5).fill("BatchNorm2d"));
  const names = [...new AlexNetTiny({ batchNorm: true }).stateDict().keys()];
  assertEquals(names.slice(0, 3), ["features.0.weight", "features.1.weight", "features.1.bias"]);
  assertEquals([...new AlexNetTiny().stateDict().keys()].slice(0, 2), [
    "features.0.weight",
    "features.0.bias",
  ]);
});
