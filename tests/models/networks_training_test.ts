/** One training step of narrow networks, compared with PyTorch. */

import { crossEntropy } from "../../src/ops/mod.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnBuilds } from "../backends.ts";
import { golden, images, loadNarrow } from "./narrow.ts";

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
    const { loss, gradient } = crossEntropy(y, training.target);
    using _loss = loss, _gradient = gradient;
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
