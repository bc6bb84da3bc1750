import { FileError } from "../../src/errors.ts";
import { parametrization } from "../../src/weights/check.ts";
import { shortNames } from "../../src/weights/names.ts";
import { bytesSource, checkWeights, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertThrows } from "../assert.ts";
import { openFixture, safetensors } from "./helpers.ts";

const model = new Map([
  ["features.0.weight", [2, 1]],
  ["features.0.bias", [2]],
  ["classifier.weight", [3, 2]],
]);

async function check(shapes: Record<string, number[]>, isOwn = false): Promise<string> {
  const bytes = writeSafetensors(
    Object.entries(shapes).map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((count, size) => count * size, 1));
      return { name, dtype: "F32", shape, data };
    }),
  );
  using file = await openWeights(bytesSource(bytes, "x"));
  return assertThrows(() => checkWeights(file, model, "AlexNet", isOwn), FileError).message;
}

Deno.test("checkWeights() ignores integer tensors that the model does not have", async () => {
  using file = await openFixture("model.pth");
  const expected = new Map(
    [...file.entries.values()].filter(({ dtype }) => dtype !== "I64").map((
      { name, shape },
    ) => [name, shape]),
  );
  assertEquals(expected.size, 6);
  checkWeights(file, expected, "the model");
});

Deno.test("checkWeights() names the first tensor with another shape", async () => {
  const right = Object.fromEntries(model);
  assertEquals(
    await check({ ...right, "classifier.weight": [10, 2] }),
    "x: classifier.weight is [10, 2], AlexNet expects [3, 2]: its last layer has 10 outputs",
  );
  assertEquals(
    await check({ ...right, "classifier.weight": [2] }),
    "x: classifier.weight is [2], AlexNet expects [3, 2]: not weights for AlexNet; " +
      "export other networks as ONNX",
  );
  assertEquals(
    await check({ ...right, "features.0.weight": [2], "classifier.weight": [] }),
    "x: features.0.weight is [2], AlexNet expects [2, 1] (and 1 more): not weights for AlexNet; " +
      "export other networks as ONNX",
  );
});

Deno.test("checkWeights() names the first missing or unknown tensor", async () => {
  const right = Object.fromEntries(model);
  assertEquals(
    await check({ "features.0.weight": [2, 1] }),
    "x: features.0.bias is missing (and 1 more): not weights for AlexNet; export other networks as ONNX",
  );
  assertEquals(
    await check({ ...right, extra: [1] }),
    "x: extra is not a parameter of AlexNet: not weights for AlexNet; export other networks as ONNX",
  );
});

Deno.test("checkWeights() says what to do about weights that are not stored themselves", async () => {
  const right = Object.fromEntries(model);
  const names = ["weight_g", "weight_orig", "weight_g_orig", "parametrizations.weight.original0"];
  for (const name of names) {
    const { "classifier.weight": shape, ...others } = right;
    assertEquals(
      await check({ ...others, [`classifier.${name}`]: shape }),
      `x: classifier.weight is missing: classifier.${name} is not the weight itself: before you save ` +
        "it in PyTorch, remove its parametrizations and pruning, or export the network as ONNX",
    );
  }
});

Deno.test("names of any length take little time", async () => {
  const parametrized = `${"parametrizations.".repeat(32_000)}\nx`;
  const average = `ema.${"a.".repeat(64_000)}x`, layer = "a".repeat(300_000);
  const begin = performance.now();
  using file = await openWeights(bytesSource(writeSafetensors(
    [parametrized, `${layer}.weight`].map((name) => (
      { name, dtype: "F32", shape: [1], data: new Float32Array(1) }
    )),
  )));
  assert(parametrization(file)?.includes("remove its parametrizations"));
  const expected = new Map([[`${layer}.weight`, [2]]]);
  const { message } = assertThrows(() => checkWeights(file, expected, "a network"), FileError);
  assert(message.endsWith(" is [1], a network expects [2]: its last layer has 1 outputs"));
  const names = shortNames(new Map([["model.fc.weight", 0], [average, 0]]), () => true);
  assertEquals([...names.keys()], [...names.values()]);
  assert(performance.now() - begin < 2000);
});

Deno.test("checkWeights() names both first tensors if the file has none of the model's", async () => {
  assertEquals(
    await check({ "conv1.weight": [2, 1], "fc.bias": [2] }),
    "x: its first tensor is conv1.weight, AlexNet starts with features.0.weight: " +
      "not weights for AlexNet; export other networks as ONNX",
  );
});

Deno.test("checkWeights() lists missing and left-over names for networks of one's own", async () => {
  const right = Object.fromEntries(model);
  const advice = "the names must be those of stateDict() of AlexNet";
  assertEquals(
    await check({ x: [1] }, true),
    "x: missing features.0.weight, features.0.bias, classifier.weight; left over x: " + advice,
  );
  assertEquals(
    await check({ ...right, a: [1], b: [1], c: [1], "d\n": [1] }, true),
    `x: left over a, b, c (and 1 more): ${advice}`,
  );
  assertEquals(await check({ ...right, "a\n": [1] }, true), `x: left over a\\u{a}: ${advice}`);
  const { "features.0.bias": _, ...others } = right;
  assertEquals(await check(others, true), `x: missing features.0.bias: ${advice}`);
  assertEquals(
    await check({ ...right, "classifier.weight": [2] }, true),
    "x: classifier.weight is [2], AlexNet expects [3, 2]: make the layers of AlexNet with the " +
      "sizes in the file",
  );
  assertEquals(
    await check({ ...others, "features.0.weight_g": [1] }, true),
    await check({ ...others, "features.0.weight_g": [1] }),
  );
});

Deno.test("checkWeights() rejects integers in place of weights", async () => {
  const entry = { dtype: "I8", shape: [2], data_offsets: [0, 2] };
  using file = await openWeights(bytesSource(safetensors({ a: entry }, [1, 2]), "x"));
  const error = assertThrows(() => checkWeights(file, new Map([["a", [2]]]), "AlexNet"), FileError);
  assertEquals(
    error.message,
    "x: a is I8, AlexNet expects F32, F16, BF16, F64, F8 or I8 with a scale",
  );
});
