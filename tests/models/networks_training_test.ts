/** One training step of narrow networks, compared with PyTorch. */

import { crossEntropy } from "../../src/ops/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { assert, assertAllClose, assertEquals } from "../assert.ts";
import { testOnBuilds } from "../backends.ts";
import { golden, images, loadNarrow, narrowNames, narrowNetwork } from "./narrow.ts";

/** The gradient of a parameter: its largest magnitude, its norm, and a few entries. */
type Gradient = readonly [largest: number, norm: number, ...entries: number[]];

for (const name of ["squeezenet1_1", "resnet18", "mobilenet"] as const) {
  testOnBuilds(`a training step of a narrow ${name} has PyTorch's gradients`, async (b) => {
    const { side, training } = golden.narrow[name];
    const gradients = training.gradients as unknown as Record<string, Gradient>;
    using model = await loadNarrow(name, b, 0);
    model.train();
    using x = b.upload(images(4, side), [4, 3, side, side]);
    using y = model.forward(x);
    using result = crossEntropy(y, training.target);
    const { loss, gradient } = result;
    assertAllClose(await loss.read(), [training.loss], { rel: 1e-4 });
    using dx = model.backward(gradient);
    assertEquals(dx.shape, x.shape);
    const greatest = Math.max(...Object.values(gradients).map(([largest]) => largest));
    for (const [key, { grad, requiresGrad }] of model.stateDict()) {
      if (!requiresGrad) continue;
      const [largest, norm, ...entries] = gradients[key], values = await grad!.read();
      if (norm === 0) { // because a batch normalisation follows
        assertAllClose(values, values.map(() => 0), { abs: 1e-5 * greatest, name: key });
        continue;
      }
      const step = Math.max(1, Math.floor(values.length / 3));
      const actual = entries.map((_, i) => values[i * step]);
      assertAllClose(actual, entries, { abs: 1e-3 * largest, name: key });
      assertAllClose([Math.hypot(...values)], [norm], { rel: 1e-3, name: `the norm of ${key}` });
    }
  });
}

testOnBuilds("all narrow networks train, with dropout and stochastic depth", async (backend) => {
  const side = 32;
  using x = backend.upload(images(2, side), [2, 3, side, side]);
  for (const name of narrowNames) {
    using model = narrowNetwork(name).init(backend, { seed: 1 }).train(new RandomGenerator(2));
    using y = model.forward(x);
    using result = crossEntropy(y, [0, 3]);
    model.backwardParameters(result.gradient);
    for (const [key, { grad, requiresGrad }] of model.stateDict()) {
      if (!requiresGrad) continue;
      const values = await grad!.read();
      assert(values.every(Number.isFinite), `the gradient of ${key} in ${name} is not finite`);
    }
    model.eval();
    using same = model.forward(x);
    assertEquals(same.shape, [2, 7]);
  }
});
