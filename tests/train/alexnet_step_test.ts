import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { AlexNet } from "../../src/models/alexnet.ts";
import { crossEntropy } from "../../src/ops/loss.ts";
import { SGD } from "../../src/train/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import golden from "../fixtures/models/training_step.json" with { type: "json" };

interface Digest {
  norm: number;
  step: number;
  values: number[];
}

/**
 * Asserts that samples of a tensor are within 1e-3 of its largest value, and its norm within 1e-3.
 */
async function assertDigest(tensor: Tensor, expected: Digest, name: string): Promise<void> {
  const values = await tensor.read();
  assertEquals(Math.ceil(values.length / expected.step), expected.values.length, name);
  assertAllClose([norm(values)], [expected.norm], { rel: 1e-3, name: `norm of ${name}` });
  const sampled = expected.values.map((_, i) => values[i * expected.step]);
  const largest = Math.max(...expected.values.map(Math.abs));
  assertAllClose(sampled, expected.values, { abs: 1e-3 * largest, name });
}

function norm(values: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i] * values[i];
  return Math.sqrt(squares);
}

const gradients: Record<string, Digest> = golden.gradients;
const weights: Record<string, Digest> = golden.weights;

/** Computes the gradients of the network of torch.manual_seed(0). */
async function computeGradients(backend: Backend, algorithm?: "direct"): Promise<AlexNet> {
  const model = new AlexNet({ dropout: 0, algorithm }).init(backend, { seed: 0 }).train();
  const values = Float32Array.from(
    { length: 4 * 3 * 224 * 224 },
    (_, i) => (Math.imul(i, 2654435761) >>> 0) / 2 ** 31 - 1,
  );
  using x = backend.upload(values, model.inputShape(4));
  using logits = model.forward(x);
  using result = crossEntropy(logits, golden.labels);
  const { loss, gradient } = result;
  assertAllClose(await loss.read(), [golden.loss], { rel: 1e-5 });
  model.backwardParameters(gradient);
  assertEquals([...model.stateDict().keys()], Object.keys(gradients));
  return model;
}

// Networks of a few channels are compared with PyTorch's on every backend.
Deno.test(
  "a training step of AlexNet gives PyTorch's gradients and weights",
  async () => {
    using backend = await createBackend({ device: "wasm" });
    using model = await computeGradients(backend, "direct");
    for (const [name, { grad }] of model.stateDict()) {
      await assertDigest(grad!, gradients[name], `the gradient of ${name}`);
    }
    using optimizer = new SGD(model, { lr: 0.05, momentum: 0.9, weightDecay: 1e-3 });
    optimizer.step();
    for (const [name, { tensor }] of model.stateDict()) {
      await assertDigest(tensor!, weights[name], name);
    }
  },
);

Deno.test("the gradients of AlexNet with winograd have the norms of PyTorch's", async () => {
  using backend = await createBackend({ device: "wasm" }); // WebGPU has no winograd
  // Single values may differ: rounding changes the maxima of near ties in max pooling, and their
  // gradients go to a neighbour. tests/backend/winograd_test.ts compares the values of each layer.
  using model = await computeGradients(backend);
  for (const [name, { grad }] of model.stateDict()) {
    const size = norm(await grad!.read());
    assertAllClose([size], [gradients[name].norm], { rel: 1e-2, name: `the gradient of ${name}` });
  }
});
