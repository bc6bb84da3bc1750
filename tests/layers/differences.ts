/** Compares the gradients of layers with finite differences. */

import type { Backend } from "../../src/backend/mod.ts";
import type * as nn from "../../src/layers/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { elements, type Shape } from "../../src/tensor.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

/** Random values from a seed. */
export function random(shape: Shape, seed: number): Float32Array {
  const values = new Float32Array(elements(shape));
  new RandomGenerator(seed).uniform(values, -1, 1);
  return values;
}

/** Computes C = Σ r·y in float64. Its gradient with respect to y is r. */
async function cost(
  layer: nn.Layer,
  backend: Backend,
  x: Float32Array,
  shape: Shape,
  r: Float32Array,
) {
  using input = backend.upload(x, shape);
  layer.train(new RandomGenerator(5)); // the same dropout every time
  using y = layer.forward(input);
  return (await y.read()).reduce((sum, v, i) => sum + v * r[i], 0);
}

/**
 * Compares a gradient with central differences at about twelve elements. float32 leaves three
 * digits: enough to find a wrong formula, a missing term, or a mix-up of saved tensors. The tests
 * in tests/backend check the precision of the kernels.
 */
async function assertGradient(
  gradient: Float32Array,
  at: Float32Array,
  costAt: () => Promise<number>,
  name: string,
): Promise<void> {
  const scale = Math.max(...gradient.map(Math.abs), 1e-3);
  for (let i = 0; i < at.length; i += Math.max(1, Math.floor(at.length / 12))) {
    const h = 1e-2, old = at[i];
    at[i] = old + h;
    const above = await costAt();
    at[i] = old - h;
    const below = await costAt();
    at[i] = old;
    const numeric = (above - below) / (2 * h);
    assertAllClose([gradient[i]], [numeric], { abs: 0.02 * scale + 1e-3, name: `${name}[${i}]` });
  }
}

/**
 * Registers a test for each layer, of the gradients of its input and parameters.
 *
 * @param register Registers it on some backends. Default: on all.
 */
export function testGradients(
  layers: readonly [() => nn.Layer, Shape][],
  register = testOnEveryBackend,
): void {
  for (const [make, shape] of layers) {
    const { type } = make();
    register(
      `the gradient of ${type} for [${shape}] matches finite differences`,
      async (backend) => {
        using layer = make().init(backend, { seed: 2 });
        const x = random(shape, 11), r = random(layer.outputShape(shape), 12);
        await cost(layer, backend, x, shape, r);
        using input = backend.upload(x, shape);
        using dy = backend.upload(r, layer.outputShape(shape));
        layer.train(new RandomGenerator(5));
        using _y = layer.forward(input);
        const dx = layer.backward(dy);
        assertEquals(dx.shape, shape);
        await assertGradient(await dx.read(), x, () => cost(layer, backend, x, shape, r), "dx");
        assertEquals(await dy.read(), r); // not changed
        dx.dispose();

        for (const [name, { tensor, grad, requiresGrad }] of layer.stateDict()) {
          assertEquals(grad !== undefined, requiresGrad, name);
          if (!tensor || !grad) continue;
          const values = await tensor.read();
          const costAt = () => {
            backend.write(tensor, values);
            return cost(layer, backend, x, shape, r);
          };
          await assertGradient(await grad.read(), values, costAt, `d${name}`);
          backend.write(tensor, values);
        }
      },
    );
  }
}
