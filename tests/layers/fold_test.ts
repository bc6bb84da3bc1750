import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import {
  BatchNorm1d,
  BatchNorm2d,
  Conv1d,
  Conv2d,
  Flatten,
  foldBatchNorm,
  type Layer,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
} from "../../src/layers/mod.ts";
import { AlexNetTiny } from "../../src/models/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { assertAllClose, assertEquals, assertRejects } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

/** Gives biases, factors and statistics random values, as if after training. */
function randomize(model: Layer): void {
  const generator = new RandomGenerator(2);
  for (const [name, { tensor }] of model.stateDict()) {
    if (tensor!.shape.length > 1) continue;
    const values = new Float32Array(tensor!.size);
    const low = name.endsWith("running_var") ? 0.2 : -0.5;
    generator.uniform(values, low, 1.5);
    tensor!.backend.write(tensor!, values);
  }
}

/** Asserts that a folded network has the outputs of the trained one. */
async function assertFoldKeepsOutput(
  backend: Backend,
  trained: Sequential,
  plain: Sequential,
  shape: number[],
) {
  trained.init(backend, { seed: 1 });
  randomize(trained);
  await foldBatchNorm(trained, plain);
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  new RandomGenerator(3).uniform(values, -2, 2);
  using x = backend.upload(values, shape);
  using expected = trained.forward(x);
  using actual = plain.forward(x);
  const numbers = await expected.read();
  const largest = numbers.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  assertAllClose(await actual.read(), numbers, { abs: 1e-5 * largest });
  trained.dispose();
  plain.dispose();
}

testOnEveryBackend("foldBatchNorm() keeps the output of the network", async (backend) => {
  const network = (norm: boolean) =>
    new Sequential({
      features: new Sequential([
        new Conv2d(3, 8, 3, { padding: 1, bias: !norm, algorithm: "direct" }),
        ...(norm ? [new BatchNorm2d(8, { eps: 0.01 })] : []),
        new ReLU(),
        new MaxPool2d(2),
        new Conv2d(8, 6, 3, { groups: 2 }), // with a bias before folding
        ...(norm ? [new BatchNorm2d(6)] : []),
        new Conv2d(6, 6, 1), // without normalisation
        new ReLU(),
      ]),
      flatten: new Flatten(),
      classifier: new Linear(6 * 4, 5),
    });
  await assertFoldKeepsOutput(backend, network(true), network(false), [2, 3, 8, 8]);
  const plain1d = new Sequential([new Conv1d(2, 4, 3)]);
  const trained1d = new Sequential([new Conv1d(2, 4, 3), new BatchNorm1d(4, { affine: false })]);
  await assertFoldKeepsOutput(backend, trained1d, plain1d, [2, 2, 9]);
  assertEquals(backend.bytesInUse, 0);
});

testOnEveryBackend("foldBatchNorm() keeps the output of AlexNetTiny", async (backend) => {
  const trained = new AlexNetTiny({ batchNorm: true }), plain = new AlexNetTiny();
  await assertFoldKeepsOutput(backend, trained, plain, [1, 3, 64, 64]);
});

testOnEveryBackend("foldBatchNorm() rejects networks that do not match", async (backend) => {
  const assertMismatch = async (layers: Layer[], plain: Layer[], message: string) => {
    using trained = new Sequential(layers).init(backend);
    const fold = () => foldBatchNorm(trained, new Sequential(plain));
    await assertRejects(fold, ArgumentError, message);
  };
  const conv = () => new Conv2d(1, 2, 3), norm = () => new BatchNorm2d(2);
  await assertMismatch(
    [conv(), norm()],
    [conv(), new ReLU()],
    "the number of layers of plain is 2",
  );
  await assertMismatch(
    [conv(), norm()],
    [new Conv2d(1, 2, 3, { bias: false })],
    "layer 0 of plain is",
  );
  await assertMismatch([conv(), norm()], [new Conv2d(1, 2, 5)], "weight [2, 1, 5, 5] bias [2]");
  await assertMismatch(
    [conv(), new ReLU(), norm()],
    [conv(), new ReLU()],
    "the layer before 2 is ReLU, must be a convolution",
  );
  await assertMismatch(
    [conv(), norm(), new ReLU()],
    [conv(), new Flatten()],
    "layer 1 of plain is",
  );
  await assertMismatch([new BatchNorm2d(1), conv()], [conv()], "the layer before 0 is missing");
});
