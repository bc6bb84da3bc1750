import { ArgumentError } from "../../src/errors.ts";
import { cosineSchedule, stepSchedule } from "../../src/train/mod.ts";
import { assertAllClose, assertAlmostEquals, assertEquals, assertThrows } from "../assert.ts";

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
