import { BatchNorm2d, Conv2d } from "../../src/layers/mod.ts";
import { createModel, summarize } from "../../src/models/mod.ts";
import { assert, assertAlmostEquals, assertEquals } from "../assert.ts";
import { testWithThreads } from "../backends.ts";

Deno.test("resnet-tiny has six blocks, and fits into 4.5 MB and 400 million multiply-adds", () => {
  const model = createModel("resnet-tiny", { numClasses: 7 });
  const { layers, parameters, macs } = summarize(model, model.inputShape(2));
  const counts = new Map<string, number>();
  for (const { type } of layers) counts.set(type, (counts.get(type) ?? 0) + 1);
  assertEquals([counts.get("Add"), counts.get("MaxPool2d")], [6, 3]);
  assertEquals(counts.get("Conv2d"), 1 + 2 * 6 + 3); // the first, those of blocks, and of shortcuts
  assertEquals(layers.at(-1)?.outputShape, [2, 7]);
  assert(parameters < 4.4e6, String(parameters));
  assert(macs / 2 < 400e6, String(macs / 2));
});

Deno.test("resnet-tiny takes images of other sizes", () => {
  const model = createModel("resnet-tiny");
  for (const side of [16, 32, 48, 80]) {
    assertEquals(model.outputShape([3, 3, side, side]), [3, 200], String(side));
  }
});

testWithThreads("blocks of resnet-tiny begin as their shortcuts", async (backend) => {
  using model = createModel("resnet-tiny").init(backend, { seed: 1 });
  for (const [name, layer] of model.leaves()) {
    const { weight } = layer.parameters;
    if (layer instanceof BatchNorm2d) {
      const expected = name.endsWith(".bn2") ? 0 : 1;
      assert((await weight!.tensor!.read()).every((value) => value === expected), name);
    }
    if (layer instanceof Conv2d) {
      const values = await weight!.tensor!.read(), [outC, , kh, kw] = weight!.shape;
      const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
      assertAlmostEquals(variance * outC * kh * kw, 2, 0.15); // Kaiming's, mode fan_out
    }
  }
  using x = backend.upload(Float32Array.from({ length: 3072 }, (_, i) => Math.sin(i)), [
    1,
    3,
    32,
    32,
  ]);
  const names = ["relu", "layer1.0.relu_2", "layer3.0.relu_2", "layer3.1.relu_2"];
  const [before, after, first, second] = model.outputsOf(x, names);
  assertEquals(await after.read(), await before.read());
  assertEquals(await second.read(), await first.read());
  for (const value of [before, after, first, second]) value.dispose();
});
