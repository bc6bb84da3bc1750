import { FileError } from "../../src/errors.ts";
import { RandomGenerator } from "../../src/random.ts";
import {
  calibrationError,
  Calibrator,
  formatCalibration,
  parseCalibration,
} from "../../weights/recipe/calibration.ts";
import { fitTemperature } from "../../weights/recipe/temperature.ts";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../assert.ts";

/**
 * Logits of `rows` samples in four classes, with labels drawn from softmax(logits / temperature).
 */
function sample(rows: number, temperature: number) {
  const generator = new RandomGenerator(1), logits = new Float32Array(rows * 4);
  generator.normal(logits, 0, 3);
  const labels = Array.from({ length: rows }, (_, n) => {
    const row = logits.subarray(n * 4, n * 4 + 4);
    const powers = Array.from(row, (logit) => Math.exp(logit / temperature));
    let left = generator.random() * 2 ** -32 * powers.reduce((a, b) => a + b);
    return Math.max(0, powers.findIndex((power) => (left -= power) < 0));
  });
  return { logits, labels };
}

/** The mean cross-entropy. */
function crossEntropy(logits: Float32Array, labels: number[], temperature: number): number {
  const losses = labels.map((label, n) => {
    const row = Array.from(logits.subarray(n * 4, n * 4 + 4), (logit) => logit / temperature);
    return Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0)) - row[label];
  });
  return losses.reduce((a, b) => a + b) / losses.length;
}

Deno.test("fitTemperature() finds the temperature that labels were drawn with", () => {
  for (const expected of [0.5, 1, 2.5]) {
    const { logits, labels } = sample(5000, expected);
    const actual = fitTemperature(logits, labels);
    assert(Math.abs(actual / expected - 1) < 0.05, `${actual}, not ${expected}`);
    const least = crossEntropy(logits, labels, actual);
    for (const other of [actual * 0.99, actual * 1.01]) {
      assert(crossEntropy(logits, labels, other) > least, `${other} is better than ${actual}`);
    }
  }
});

Deno.test("fitTemperature() stays finite when all samples are right or wrong", () => {
  const logits = new Float32Array([3, 1, 2, 5]);
  const low = fitTemperature(logits, [0, 1]);
  assert(low >= 0.01 && low < 0.1, String(low));
  assertEquals(fitTemperature(logits, [1, 0]), 100);
});

Deno.test("calibrationError() is the mean distance of probabilities from right predictions", () => {
  const calibrator = new Calibrator(0.7);
  for (const isRight of [true, true, true, false]) calibrator.add(0.9, isRight); // 75 %, not 90 %
  for (const isRight of [true, false]) calibrator.add(0.3, isRight); // 50 %, not 30 %
  calibrator.add(1, true);
  assertAlmostEquals(calibrationError(calibrator), (4 * 0.15 + 2 * 0.2) / 7, 1e-12);
  assertEquals(calibrator.bins.at(-1)?.images, 1);
  const over = new Calibrator(1); // differences in one bin cancel out
  over.add(0.95, true);
  over.add(0.95, false);
  assertAlmostEquals(calibrationError(over), 0.45, 1e-12);
});

Deno.test("parseCalibration() parses the text of formatCalibration(), and rejects other text", () => {
  const calibrations = [new Calibrator(0.7), new Calibrator(1)];
  for (const calibration of calibrations) calibration.add(0.625, true);
  const text = formatCalibration(calibrations);
  const expected = calibrations.map(({ temperature, bins }) => ({ temperature, bins }));
  assertEquals(parseCalibration(text, "x"), expected);
  assertThrows(() => parseCalibration("a\tb\n", "x"), FileError, "x: is not a calibration table");
  const [header] = text.split("\n");
  for (
    const line of ["1\t1\t2\t1.5\t3", "1\t2\t0\t0\t0", "1\t1\t0\t0", "1\t1\t0\t0\t0\t0", "hot"]
  ) {
    const message = "x: line 2 must be a temperature, a bin and three counts";
    assertThrows(() => parseCalibration(`${header}\n${line}\n`, "x"), FileError, message);
  }
});
