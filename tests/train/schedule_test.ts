import { ArgumentError } from "../../src/errors.ts";
import { Linear } from "../../src/layers/mod.ts";
import { clipGradNorm, cosineSchedule, stepSchedule } from "../../src/train/mod.ts";
import {
  assertAllClose,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

Deno.test("cosineSchedule() warms up, decays along half a cosine, and stays at minLr", () => {
  const lr = cosineSchedule({ lr: 1, steps: 14, warmUp: 4, minLr: 0.2 });
  assertAllClose([0, 1, 2, 3].map(lr), [0.2, 0.4, 0.6, 0.8], { abs: 1e-12 });
  assertAlmostEquals(lr(4), 1);
  assertAlmostEquals(lr(9), 0.6);
  assertAlmostEquals(lr(14), 0.2);
  assertAlmostEquals(lr(99), 0.2);
});

Deno.test("stepSchedule() multiplies by gamma after every few steps", () => {
  const lr = stepSchedule({ lr: 8, every: 3, gamma: 0.5, warmUp: 1 });
  assertEquals([0, 1, 2, 3, 5, 6, 9].map(lr), [4, 8, 8, 4, 4, 2, 1]);
  assertThrows(() => stepSchedule({ lr: 1, every: 0 }), ArgumentError, "every is 0");
});

testOnEveryBackend("clipGradNorm() limits the norm of all gradients together", async (backend) => {
  using layer = new Linear(2, 1).init(backend);
  const { weight, bias } = layer.parameters;
  backend.write(weight.gradient(), new Float32Array([3, 0]));
  backend.write(bias.gradient(), new Float32Array([-4]));
  assertAlmostEquals(await clipGradNorm(layer, 10), 5, 1e-6);
  assertEquals([...await weight.grad!.read()], [3, 0]);
  assertAlmostEquals(await clipGradNorm(layer, 1), 5, 1e-6);
  assertAllClose(await weight.grad!.read(), [0.6, 0], { abs: 1e-6 });
  assertAllClose(await bias.grad!.read(), [-0.8], { abs: 1e-6 });
  await assertRejects(() => clipGradNorm(layer, 0), ArgumentError, "maxNorm is 0");
});
