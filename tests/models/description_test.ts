import { FileError } from "../../src/errors.ts";
import { describe, readDescription } from "../../src/models/description.ts";
import { bytesSource, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assertEquals, assertRejects } from "../assert.ts";

const description = {
  architecture: "alexnet-tiny",
  classes: [{ wnid: "n01", label: "a cat" }, { wnid: "", label: "naïve, „dog“" }],
  preprocessing: {
    resize: 70,
    interpolation: "bicubic",
    crop: 64,
    mean: [0.1, 0.2, 0.3],
    std: [1, 2, 3],
  },
} as const;

/** Reads the description of a file with this metadata. */
async function read(metadata: Record<string, string>) {
  const tensors = [{ name: "a", dtype: "F32", shape: [1], data: new Float32Array(1) }] as const;
  using file = await openWeights(bytesSource(writeSafetensors(tensors, metadata), "x"));
  return readDescription(file);
}

Deno.test("readDescription() reads the metadata of describe() and ignores other keys", async () => {
  assertEquals(await read({ ...describe(description), more: "text" }), description);
});

Deno.test("a description without interpolation means bilinear", async () => {
  const { interpolation: _, ...preprocessing } = description.preprocessing;
  const actual = await read(describe({ ...description, preprocessing }));
  assertEquals(actual?.preprocessing, { ...preprocessing, interpolation: "bilinear" });
});

Deno.test("a description keeps the channel order", async () => {
  const preprocessing = { ...description.preprocessing, channels: "bgr" } as const;
  const actual = await read(describe({ ...description, preprocessing }));
  assertEquals(actual?.preprocessing, preprocessing);
});

Deno.test("readDescription() returns undefined for files of other programs", async () => {
  assertEquals(await read({}), undefined);
  assertEquals(await read({ format: "pt", classes: "[]" }), undefined);
});

Deno.test("readDescription() says what is wrong with invalid metadata", async () => {
  const { architecture: _, ...rest } = describe(description);
  const error = await assertRejects(() => read(rest), FileError);
  assertEquals(error.message, "x: its metadata has no architecture: damaged");
  const assertInvalid = async (changes: Record<string, string>, reason: string) => {
    const metadata = { ...describe(description), ...changes };
    const error = await assertRejects(() => read(metadata), FileError);
    assertEquals(error.message.slice(0, 3 + reason.length), `x: ${reason}`);
  };
  await assertInvalid({ format: "pembroke model 2" }, "has format pembroke model 2, but this");
  await assertInvalid({ format: "pembroke checkpoint 1" }, "is a training checkpoint, not a model");
  for (const classes of ["", "[", "[]", "{}", "null", '["a"]', '[["a"]]', '[["a", 1]]']) {
    const reason = /^\[?$/.test(classes)
      ? "its metadata key classes is not valid JSON: damaged"
      : "its classes are not a list of [id, label] pairs: damaged";
    await assertInvalid({ classes }, reason);
  }
  const sides = { resize: [0, 1.5, -1, "64", 1e9], crop: [0, null, 4097, {}] };
  const others = {
    interpolation: ["lanczos", null, 1],
    channels: ["gbr", null, 3],
    mean: [[1, 2], [1, 2, "3"], 0],
    std: [[1, 1, 0], [1, 1, -1], null],
  };
  const invalid = "its preprocessing has missing or invalid values: damaged";
  for (const [key, values] of Object.entries({ ...sides, ...others })) {
    for (const value of values) {
      const preprocessing = JSON.stringify({ ...description.preprocessing, [key]: value });
      await assertInvalid({ preprocessing }, invalid);
    }
  }
  await assertInvalid({ preprocessing: "null" }, invalid);
  const text = "its metadata key preprocessing is not valid JSON: damaged";
  await assertInvalid({ preprocessing: "x" }, text);
});
