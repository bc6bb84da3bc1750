import { ArgumentError, FileError } from "../../src/errors.ts";
import { preprocess } from "../../src/image/preprocess.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { RandomGenerator } from "../../src/random.ts";
import { type ImageFile, ImageFolder, readImageFolder } from "../../src/train/image_folder.ts";
import { randomHorizontalFlip } from "../../src/train/transforms.ts";
import { assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";

const photo = await Deno.readFile(new URL("../photos/chelsea.png", import.meta.url));
const preprocessing = { resize: 10, crop: 8, mean: [0, 0, 0], std: [1, 1, 1] } as const;

Deno.test("ImageFolder sorts classes and images, and reads them", async () => {
  let reads = 0;
  const bytes = () => {
    reads++;
    return Promise.resolve(photo);
  };
  const dataset = new ImageFolder([
    { name: "dogs/b.png", bytes },
    { name: "ants/z/1.png", bytes: photo },
    { name: "dogs/a.png", bytes },
    { name: "x.png", class: "Bees", bytes },
  ], { preprocessing });
  assertEquals(dataset.classes, ["Bees", "ants", "dogs"]);
  assertEquals(dataset.samples.map(({ name, label }) => `${label} ${name}`), [
    "0 x.png",
    "1 ants/z/1.png",
    "2 dogs/a.png",
    "2 dogs/b.png",
  ]);
  assertEquals([dataset.length, dataset.sampleShape, reads], [4, [3, 8, 8], 0]);
  const values = new Float32Array(3 * 8 * 8);
  assertEquals(await dataset.read(1, values), 1);
  assertEquals(values, preprocess(await decodeImage(photo), preprocessing));
  assertEquals(await dataset.read(3, values, new RandomGenerator(1)), 2);
  assertEquals(reads, 1);
});

Deno.test("ImageFolder changes images only with a generator", async () => {
  const transforms = [randomHorizontalFlip(1)];
  const files = [{ name: "a/1.png", bytes: photo }];
  const dataset = new ImageFolder(files, { preprocessing, transforms });
  const plain = new Float32Array(192), flipped = new Float32Array(192);
  await dataset.read(0, plain);
  await dataset.read(0, flipped, new RandomGenerator(1));
  const image = await decodeImage(photo);
  assertEquals(plain, preprocess(image, preprocessing));
  const mirror = randomHorizontalFlip(1)(image, new RandomGenerator(2));
  assertEquals(flipped, preprocess(mirror, preprocessing));
  assertEquals(plain.some((value, i) => value !== flipped[i]), true);
});

Deno.test("ImageFolder names the image that it cannot decode", async () => {
  const dataset = new ImageFolder([{ name: "a/1.png", bytes: photo.subarray(0, 99) }]);
  const error = await assertRejects(() => dataset.read(0, new Float32Array(1)), FileError);
  for (const index of [-1, 1]) {
    const message = `ImageFolder: index is ${index}, must be from 0 to 0`;
    await assertRejects(() => dataset.image(index), ArgumentError, message);
  }
  assertEquals(error.message.startsWith("a/1.png: "), true);
});

Deno.test("ImageFolder refuses invalid files and options", () => {
  const bad = [
    [],
    [{ name: "1.png", bytes: photo }],
    [{ name: "a/1.png", bytes: "text" }],
    [{ name: 1, bytes: photo }],
    [{ name: "a/1.png", class: "", bytes: photo }],
  ];
  for (const files of bad) assertThrows(() => new ImageFolder(files as ImageFile[]), ArgumentError);
  const files = [{ name: "a/1.png", bytes: photo }];
  assertThrows(() => new ImageFolder(files, { transforms: [1 as never] }), ArgumentError);
});

Deno.test("readImageFolder() finds the images in subfolders", async () => {
  const root = await Deno.makeTempDir();
  try {
    for (const folder of ["bees/deep", "ants", ".hidden", "empty"]) {
      await Deno.mkdir(`${root}/${folder}`, { recursive: true });
    }
    for (const file of ["bees/deep/2.PNG", "bees/1.png", "ants/x.png", ".hidden/3.png", "4.png"]) {
      await Deno.writeFile(`${root}/${file}`, photo);
    }
    await Deno.writeTextFile(`${root}/ants/notes.txt`, "no image");
    const dataset = await readImageFolder(`${root}/`, { preprocessing });
    assertEquals(dataset.classes, ["ants", "bees"]);
    assertEquals(dataset.samples.map(({ name }) => name), [
      "ants/x.png",
      "bees/1.png",
      "bees/deep/2.PNG",
    ]);
    assertEquals(await dataset.read(2, new Float32Array(192)), 1);
    for (
      const [name, reason] of [
        ["empty", "has no folders with images (JPEG, PNG, WebP, GIF, BMP)"],
        ["missing", "no such file or folder"],
        ["4.png", "is not a folder"],
      ]
    ) {
      const error = await assertRejects(() => readImageFolder(`${root}/${name}`), FileError);
      assertEquals(error.message, `${root}/${name}: ${reason}`);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test({
  name: "readImageFolder() follows links, each folder once, and skips broken ones",
  ignore: Deno.build.os === "windows", // links need a privilege there
  fn: async () => {
    const root = await Deno.makeTempDir(), data = `${root}/data`;
    try {
      for (const folder of ["data/ants", "data/dogs", "far/deep"]) {
        await Deno.mkdir(`${root}/${folder}`, { recursive: true });
      }
      for (const file of ["data/ants/1.png", "data/dogs/1.png", "far/2.png", "far/deep/3.png"]) {
        await Deno.writeFile(`${root}/${file}`, photo);
      }
      const links = {
        "data/ants/4.png": "1.png",
        "data/ants/missing.png": "nothing.png",
        "data/ants/self.png": "self.png",
        "data/ants/through.png": "1.png/2.png",
        "data/ants/loop": "..",
        "data/ants/top": root,
        "data/bees": "../far",
        "data/cats": "../far/deep",
        "far/deep/up": "..",
        "far/ants": "../data/ants",
      };
      for (const [link, target] of Object.entries(links)) {
        await Deno.symlink(target, `${root}/${link}`);
      }
      const { samples } = await readImageFolder(data, { preprocessing });
      assertEquals(samples.map(({ name }) => name), [
        "ants/1.png",
        "ants/4.png",
        "ants/top/far/2.png",
        "ants/top/far/deep/3.png",
        "dogs/1.png",
      ]);
      await Deno.remove(`${data}/ants/top`);
      const { classes, length } = await readImageFolder(data, { preprocessing });
      assertEquals([classes, length], [["ants", "bees", "dogs"], 5]);
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  },
});

Deno.test({
  name: "readImageFolder() does not wait for a pipe",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using folder = await TempFolder.make();
    await folder.write("ants/1.png", "");
    await new Deno.Command("mkfifo", { args: [`${folder.path}/ants/pipe.png`] }).output();
    const dataset = await readImageFolder(folder.path, { preprocessing });
    await assertRejects(() => dataset.image(1), FileError, "pipe.png: is not a regular file");
  },
});

Deno.test("readImageFolder() refuses an empty path", async () => {
  await assertRejects(() => readImageFolder(""), ArgumentError, 'path is "", must be a path');
});
