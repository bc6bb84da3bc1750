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

/** The description in a file with this metadata. */
async function read(metadata: Record<string, string>) {
  const tensors = [{ name: "a", dtype: "F32", shape: [1], data: new Float32Array(1) }] as const;
  using file = await openWeights(bytesSource(writeSafetensors(tensors, metadata), "x"));
  return readDescription(file);
}

Deno.test("readDescription() reads what describe() wrote, whatever else is there", async () => {
  assertEquals(await read({ ...describe(description), more: "text" }), description);
});

Deno.test("a description without a filter means the bilinear one", async () => {
  const { interpolation: _, ...preprocessing } = description.preprocessing;
  const found = await read(describe({ ...description, preprocessing }));
  assertEquals(found?.preprocessing, { ...preprocessing, interpolation: "bilinear" });
});

Deno.test("a description keeps the order of channels", async () => {
  const preprocessing = { ...description.preprocessing, channels: "bgr" } as const;
  const found = await read(describe({ ...description, preprocessing }));
  assertEquals(found?.preprocessing, preprocessing);
});

Deno.test("files without a description, or with another program's format, have none", async () => {
  assertEquals(await read({}), undefined);
  assertEquals(await read({ format: "pt", classes: "[]" }), undefined);
});

Deno.test("a description that cannot be used is refused, and what is wrong is said", async () => {
  const refused = async (changes: Record<string, string>, reason: string) => {
    const metadata = { ...describe(description), ...changes };
    const error = await assertRejects(() => read(metadata), FileError);
    assertEquals(error.message.slice(0, 3 + reason.length), `x: ${reason}`);
  };
  await refused({ format: "pembroke model 2" }, "has the format pembroke model 2, this version");
  await refused({ format: "pembroke checkpoint 1" }, "is a checkpoint of a training run: ");
  await refused({ architecture: "vgg\n" }, "describes the network vgg\\u{a}, not alexnet or");
  for (const classes of ["", "[", "[]", "{}", "null", '["a"]', '[["a"]]', '[["a", 1]]']) {
    const reason = /^\[?$/.test(classes)
      ? "its metadata holds no readable classes: damaged"
      : "its classes are not a list of pairs of texts: damaged";
    await refused({ classes }, reason);
  }
  const sides = { resize: [0, 1.5, -1, "64", 1e9], crop: [0, null, 4097, {}] };
  const others = {
    interpolation: ["lanczos", null, 1],
    channels: ["gbr", null, 3],
    mean: [[1, 2], [1, 2, "3"], 0],
    std: [[1, 1, 0], [1, 1, -1], null],
  };
  for (const [key, values] of Object.entries({ ...sides, ...others })) {
    for (const value of values) {
      const preprocessing = JSON.stringify({ ...description.preprocessing, [key]: value });
      await refused({ preprocessing }, "its preprocessing is not one of images: damaged");
    }
  }
  await refused({ preprocessing: "null" }, "its preprocessing is not one of images: damaged");
  await refused({ preprocessing: "x" }, "its metadata holds no readable preprocessing: damaged");
});
