import { RandomGenerator } from "../src/random.ts";
import { ArgumentError } from "../src/errors.ts";
import { assertAllClose, assertEquals, assertThrows } from "./assert.ts";

Deno.test("RandomGenerator draws the same numbers as torch.rand after torch.manual_seed", () => {
  const values = new Float32Array(3);
  new RandomGenerator(0).uniform(values, 0, 1);
  assertEquals([...values], [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]);
});

Deno.test("RandomGenerator equals torch.Tensor.uniform_ bit for bit over a million numbers", async () => {
  // torch.manual_seed(7); torch.empty(1000003).uniform_(-0.1234567, 0.1234567)
  const values = new Float32Array(1000003);
  const generator = new RandomGenerator(7);
  generator.uniform(values.subarray(0, 1234), -0.1234567, 0.1234567); // in two parts
  generator.uniform(values.subarray(1234), -0.1234567, 0.1234567);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", values));
  assertEquals(
    Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    "639cdd16575b4a89f0c99da7946de72e5f0e04327ccd3742c810373fae46c4a9",
  );
});

Deno.test("RandomGenerator draws the normal numbers of torch.Tensor.normal_", () => {
  // torch.manual_seed(7); x = torch.empty(n).normal_(mean, std); x[-1], x.sum(), torch.rand(1)
  for (
    const [n, mean, std, last, sum, next] of [
      [3, 0, 1, 0.94682163, 1.5861678, 0.36531615257263184],
      [15, 1, 2, 3.7909017, 20.648655, 0.6266505718231201],
      [16, 0, 1, 1.0901651, -0.51758195, 0.720380425453186],
      [40, -1, 0.5, -1.0458386, -38.604105, 0.26739025115966797],
    ]
  ) {
    const generator = new RandomGenerator(7), values = new Float32Array(n);
    generator.normal(values, mean, std);
    assertAllClose([values[n - 1], values.reduce((a, b) => a + b, 0)], [last, sum], { abs: 5e-6 });
    const one = new Float32Array(1);
    generator.uniform(one, 0, 1);
    assertEquals(one[0], next);
  }
});

Deno.test("RandomGenerator keeps the second number of a pair of normal ones", () => {
  // torch.manual_seed(7); torch.empty(3).normal_(); torch.empty(2).normal_()
  const generator = new RandomGenerator(7), state = generator.getState();
  const values = new Float32Array(3), more = new Float32Array(2);
  generator.normal(values, 0, 1);
  generator.normal(more, 0, 1);
  assertAllClose([...values, ...more], [
    -0.1467950940132141,
    0.7861412763595581,
    0.9468216300010681,
    -1.1143440008163452,
    1.6907901763916016,
  ], { abs: 1e-6 });
  generator.normal(values, 0, 1); // leaves one
  generator.setState(state);
  generator.normal(more, 0, 1);
  assertAllClose([...more], [-0.1467950940132141, 0.7861412763595581], { abs: 1e-6 });
});

Deno.test("RandomGenerator refuses arguments of wrong types", () => {
  const generator = new RandomGenerator(7), state = generator.getState();
  // deno-lint-ignore no-explicit-any
  const any = (value: unknown) => value as any, values = new Float32Array(1);
  for (const wrong of [null, undefined, [0], new Uint8Array(4), new Float64Array(1)].map(any)) {
    assertThrows(() => generator.uniform(wrong, 0, 1), ArgumentError, "a Float32Array");
    assertThrows(() => generator.normal(wrong, 0, 1), ArgumentError, "a Float32Array");
    assertThrows(() => generator.setState(wrong), ArgumentError, "a Uint32Array of 625 numbers");
  }
  assertThrows(() => generator.uniform(values, any(undefined), 1), ArgumentError, "from is");
  assertThrows(() => generator.normal(values, 0, any("1")), ArgumentError, 'std is "1"');
  assertThrows(() => generator.setState(state.fill(625)), ArgumentError, "at most 624");
  assertEquals(values, new Float32Array(1));
});
