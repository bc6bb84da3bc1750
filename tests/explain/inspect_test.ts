/** A look inside a network. */

import { firstFilters, stagesOf, timeLayers, timePass } from "../../src/explain/inspect.ts";
import { imagenetPreprocessing } from "../../src/image/preprocess.ts";
import { createModel } from "../../src/models/mod.ts";
import { assert, assertAllClose, assertEquals } from "../assert.ts";
import { testWithThreads } from "../backends.ts";
import { images, loadNarrow } from "../models/narrow.ts";

testWithThreads(
  "stages are the last maps of each size, with the mean of their channels",
  async (backend) => {
    using model = await loadNarrow("resnet18", backend);
    using x = backend.upload(images(1, 64), [1, 3, 64, 64]);
    const stages = await stagesOf(model, x);
    assertEquals(stages.map(({ name, height, width }) => `${name} ${height}×${width}`), [
      "relu 32×32",
      "layer1.1.relu_2 16×16",
      "layer2.1.relu_2 8×8",
      "layer3.1.relu_2 4×4",
      "layer4.1.relu_2 2×2",
    ]);
    for (const { name, channels, heat } of stages) {
      const [output] = model.outputsOf(x, [name]);
      using _ = output;
      const values = await output.read(), size = values.length / channels;
      const means = Array.from({ length: size }, (_, i) => {
        return values.filter((_, at) => at % size === i).reduce((a, b) => a + b, 0) / channels;
      });
      const least = Math.min(...means), range = Math.max(...means) - least;
      assertAllClose(heat, means.map((mean) => (mean - least) / range), { abs: 1e-4, name });
    }
  },
);

testWithThreads("every layer has a time, in order", async (backend) => {
  using model = await loadNarrow("googlenet", backend);
  using x = backend.upload(images(1, 64), [1, 3, 64, 64]);
  const times = await timeLayers(model, x), pass = await timePass(model, x);
  assertEquals(times.map(({ name }) => name), model.leaves().map(([name]) => name));
  assertEquals(times.at(-1)!.shape, [7]);
  assert(times.every(({ ms }) => ms >= 0 && ms < 10_000));
  assert(pass > 0 && pass < 10_000);
});

testWithThreads("filters are drawn in colours, from black to white", async (backend) => {
  for (const channels of ["rgb", "bgr"] as const) {
    const preprocessing = { ...imagenetPreprocessing, channels };
    using model = createModel("squeezenet1_1", { preprocessing, numClasses: 2 });
    model.init(backend, { seed: 1 });
    for (const precision of ["f32", "int8"]) {
      if (precision === "int8") model.quantize();
      const { name, pictures } = (await firstFilters(model))!;
      assertEquals([name, pictures.length], ["features.0", 64]);
      const [{ width, height, data }] = pictures;
      assertEquals([width, height, Math.min(...data), Math.max(...data)], [3, 3, 0, 255]);
    }
  }
  using model = createModel("squeezenet1_1", { numClasses: 2 });
  model.init(backend, { seed: 1 });
  const weights = await model.stateDict().get("features.0.weight")!.tensor!.read();
  const filter = weights.slice(27, 54), least = Math.min(...filter);
  const scale = 255 / (Math.max(...filter) - least);
  const { data } = (await firstFilters(model))!.pictures[1];
  // red, green and blue of the second pixel
  const expected = [1, 10, 19].map((at) => (filter[at] - least) * scale);
  assertAllClose([...data.slice(3, 6)], expected, { abs: 0.51 });
});
