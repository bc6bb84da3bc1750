import type { Backend } from "../../src/backend.ts";
import { AlexNet } from "../../src/models/alexnet.ts";
import { crossEntropy } from "../../src/ops/loss.ts";
import { SGD } from "../../src/train/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import golden from "../fixtures/models/training_step.json" with { type: "json" };

interface Digest {
  norm: number;
  step: number;
  values: number[];
}

/**
 * How far it may be from PyTorch, as a part of the largest value: winograd's rounding turns a few of
 * the poolings' near ties, whose gradients then go to the neighbour.
 */
const tolerances = { direct: 1e-3, winograd: 5e-3 };

/** Compares samples of a tensor, and its norm. */
async function assertDigest(
  tensor: Tensor,
  expected: Digest,
  tolerance: number,
  name: string,
): Promise<void> {
  const values = await tensor.read();
  const squares = values.reduce((sum, v) => sum + v * v, 0);
  assertAllClose([Math.sqrt(squares)], [expected.norm], {
    rel: tolerance,
    name: `norm of ${name}`,
  });
  const sampled = values.filter((_, i) => i % expected.step === 0);
  const largest = Math.max(...expected.values.map(Math.abs));
  assertAllClose(sampled, expected.values, { abs: tolerance * largest, name });
}

testOnEveryBackend("a training step of AlexNet is PyTorch's", async (backend) => {
  for (const algorithm of ["direct", undefined] as const) await step(backend, algorithm);
});

async function step(backend: Backend, algorithm?: "direct"): Promise<void> {
  const tolerance = tolerances[algorithm ?? "winograd"];
  using model = new AlexNet({ dropout: 0, algorithm }).init(backend, { seed: 0 }).train();
  using optimizer = new SGD(model, { lr: 0.05, momentum: 0.9, weightDecay: 1e-3 });
  const shape = model.inputShape(4);
  const values = Float32Array.from(
    { length: 4 * 3 * 224 * 224 },
    (_, i) => (Math.imul(i, 2654435761) >>> 0) / 2 ** 31 - 1,
  );
  using x = backend.upload(values, shape);
  using logits = model.forward(x);
  const { loss, gradient } = crossEntropy(logits, golden.labels);
  assertAllClose(await loss.read(), [golden.loss], { rel: 1e-5 });
  model.backwardParameters(gradient);

  const gradients: Record<string, Digest> = golden.gradients;
  const weights: Record<string, Digest> = golden.weights;
  assertEquals([...model.stateDict().keys()], Object.keys(gradients));
  for (const [name, { grad }] of model.stateDict()) {
    await assertDigest(grad!, gradients[name], tolerance, `the gradient of ${name}`);
  }
  optimizer.step();
  for (const [name, { tensor }] of model.stateDict()) {
    await assertDigest(tensor!, weights[name], tolerance, name);
  }
}
