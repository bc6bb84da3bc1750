import { ArgumentError, FileError } from "../../src/errors.ts";
import { preprocess } from "../../src/image/preprocess.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { RandomGenerator } from "../../src/random.ts";
import { type ImageFile, ImageFolder, readImageFolder } from "../../src/train/image_folder.ts";
import {
  colorJitter,
  randomHorizontalFlip,
  randomResizedCrop,
} from "../../src/train/transforms.ts";
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

/** An image whose bytes are all different from their neighbours. */
function testImage(width: number, height: number) {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => i * 37 % 256);
  return { width, height, data };
}

Deno.test("randomResizedCrop() draws parts with the area and ratio that it is asked for", () => {
  const image = testImage(40, 30), generator = new RandomGenerator(3);
  // Red is the column and green the row, so that a crop shows where it comes from.
  for (let y = 0; y < 30; y++) {
    for (let x = 0; x < 40; x++) image.data.set([x * 6, y * 6, 0], (y * 40 + x) * 3);
  }
  const crop = randomResizedCrop(16, { scale: [0.2, 0.4], ratio: [0.5, 2] });
  const lefts = new Set<number>();
  for (let i = 0; i < 50; i++) {
    const { width, height, data } = crop(image, generator);
    assertEquals([width, height, data.length], [16, 16, 768]);
    const spanX = (data[15 * 3] - data[0]) / 6 / 15 * 16;
    const spanY = (data[15 * 48 + 1] - data[1]) / 90 * 16;
    const area = spanX * spanY / 1200, ratio = spanX / spanY;
    assertEquals(area > 0.1 && area < 0.5 && ratio > 0.4 && ratio < 2.5, true, `${area} ${ratio}`);
    lefts.add(data[0]);
  }
  assertEquals(lefts.size > 5, true);
  // No part with this ratio fits: the middle, 30 wide and 30 high.
  const tall = randomResizedCrop(30, { scale: [1, 1], ratio: [1, 1] })(image, generator);
  assertEquals([tall.data[0], tall.data[1], tall.data[29 * 3]], [5 * 6, 0, 34 * 6]);
  assertEquals(randomResizedCrop(4)(testImage(1, 1), generator).width, 4);
});

Deno.test("randomHorizontalFlip() swaps left and right with its probability", () => {
  const image = testImage(3, 2), generator = new RandomGenerator(1);
  const { data } = randomHorizontalFlip(1)(image, generator);
  for (let i = 0; i < 18; i++) {
    const x = Math.floor(i / 3) % 3;
    assertEquals(data[i], image.data[i + (2 - 2 * x) * 3]);
  }
  assertEquals(randomHorizontalFlip(0)(image, generator), image);
  const half = randomHorizontalFlip();
  const count = Array.from({ length: 1000 }, () => half(image, generator)).filter((y) =>
    y !== image
  );
  assertEquals(count.length > 440 && count.length < 560, true);
});

Deno.test("colorJitter() blends with black, the mean grey and the grey of each pixel", () => {
  const image = testImage(5, 4), generator = new RandomGenerator(1);
  assertEquals([...colorJitter()(image, generator).data], [...image.data]);
  const kinds = ["brightness", "contrast", "saturation"] as const;
  for (const kind of kinds) {
    const state = generator.getState();
    const { data } = colorJitter({ [kind]: 0.8 })(image, generator);
    const end = generator.getState();
    generator.setState(state);
    const factors = kinds.map((other) =>
      other === kind ? 0.2 + 1.6 * generator.random() * 2 ** -32 : generator.random() && 1
    );
    assertEquals(generator.getState(), end);
    const factor = factors[kinds.indexOf(kind)];
    const gray = (i: number) => {
      const [r, g, b] = image.data.subarray(i - i % 3);
      return Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    };
    let mean = 0;
    for (let i = 0; i < 60; i += 3) mean += gray(i) / 20;
    const base = { brightness: () => 0, contrast: () => Math.round(mean), saturation: gray }[kind];
    for (const [i, value] of data.entries()) {
      const expected = base(i) + factor * (image.data[i] - base(i));
      const clipped = Math.min(255, Math.max(0, expected));
      assertEquals(Math.abs(value - clipped) <= 1 + 1e-9, true, `${kind} ${i}`);
    }
  }
});

Deno.test("transforms refuse invalid options", () => {
  const bad = [
    () => randomResizedCrop(0),
    () => randomResizedCrop(4, { scale: [0.5, 0.1] }),
    () => randomResizedCrop(4, { ratio: [0, 1] }),
    () => randomHorizontalFlip(1.1),
    () => colorJitter({ contrast: -1 }),
    () => colorJitter({ saturation: "1" as never }),
  ];
  for (const call of bad) assertThrows(call, ArgumentError);
  const rgba = { width: 2, height: 1, data: new Uint8Array(2 * 4) };
  for (const transform of [randomResizedCrop(1), randomHorizontalFlip(0), colorJitter()]) {
    for (const image of [rgba, null as unknown as typeof rgba]) {
      assertThrows(() => transform(image, new RandomGenerator(1)), ArgumentError, "image");
    }
  }
});
