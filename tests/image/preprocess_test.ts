import { ArgumentError } from "../../src/errors.ts";
import {
  caffePreprocessing,
  centerCrop,
  cropRegion,
  imagenetPreprocessing,
  preprocess,
  type Preprocessing,
} from "../../src/image/preprocess.ts";
import { resizeShorterSide } from "../../src/image/resize.ts";
import { assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { bytesAt, floatsAt, type Place, readCases } from "./fixtures.ts";

interface PreprocessCase {
  source: string;
  from: [number, number];
  pixels: Place;
  options: Preprocessing;
  /** Only every nth value is stored. */
  every: number;
  expected: Place;
}

for (const item of readCases<PreprocessCase>("preprocess.json")) {
  const { source, from: [width, height], options } = item;
  const name = `${source}, ${width}×${height}, resize ${options.resize}, crop ${options.crop}`;
  Deno.test(`preprocess() equals torchvision bit for bit on ${name}`, () => {
    const image = { width, height, data: bytesAt(item.pixels) };
    const tensor = preprocess(image, options);
    assertEquals(tensor.length, 3 * options.crop ** 2);
    assertEquals(tensor.filter((_, i) => i % item.every === 0), floatsAt(item.expected));
  });
}

Deno.test("preprocess() defaults to ImageNet's preprocessing", () => {
  const image = { width: 5, height: 4, data: Uint8Array.from({ length: 60 }, (_, i) => i * 4) };
  assertEquals(preprocess(image), preprocess(image, imagenetPreprocessing));
});

Deno.test('preprocess() with channels "bgr" puts the blue plane first, with its own mean', () => {
  const image = { width: 2, height: 2, data: Uint8Array.from({ length: 12 }, (_, i) => 20 * i) };
  const options = { ...imagenetPreprocessing, resize: 2, crop: 2 };
  const rgb = preprocess(image, options), bgr = preprocess(image, { ...options, channels: "bgr" });
  const [red, green, blue] = [0, 4, 8].map((at) => rgb.subarray(at, at + 4));
  assertEquals(bgr, Float32Array.of(...blue, ...green, ...red));
  assertEquals(preprocess(image, { ...options, channels: "rgb" }), rgb);
});

Deno.test("caffePreprocessing subtracts the means from bytes", () => {
  const data = Uint8Array.from([255, 0, 1]), image = { width: 1, height: 1, data };
  const values = preprocess(image, { ...caffePreprocessing, resize: 1, crop: 1 });
  assertAllClose(values, [1 - 103.939, 0 - 116.779, 255 - 123.68], { abs: 2e-5 });
});

Deno.test("preprocess() gives the same crop as resizing the whole image first", () => {
  const data = Uint8Array.from({ length: 61 * 30 * 3 }, (_, i) => i * 7919 % 256);
  const image = { width: 61, height: 30, data };
  const plain: Preprocessing = { resize: 19, crop: 14, mean: [0, 0, 0], std: [1, 1, 1] };
  const whole = centerCrop(resizeShorterSide(image, 19), 14);
  const red = preprocess(image, plain).subarray(0, 14 * 14);
  assertEquals(red, Float32Array.from({ length: 14 * 14 }, (_, i) => whole.data[i * 3] / 255));
});

Deno.test("preprocess() handles an image of 1×500000 without resizing all of it", () => {
  const image = { width: 1, height: 500_000, data: new Uint8Array(1_500_000).fill(128) };
  const values = preprocess(image); // the whole image would be 256 × 128,000,000 pixels, 98 GB
  const { mean, std } = imagenetPreprocessing;
  const gray = [0, 1, 2].map((c) => (128 / 255 - mean[c]) / std[c]);
  assertAllClose(values.filter((_, i) => i % (224 * 224) === 0), gray, { abs: 1e-6 });
  assertEquals(new Set(values).size, 3);
});

Deno.test("preprocess() rejects invalid options", () => {
  const image = { width: 1, height: 1, data: new Uint8Array(3) };
  const invalid: [Partial<Preprocessing>, string][] = [
    [{ resize: 0 }, "preprocess: resize is 0, must be a positive integer"],
    [{ crop: 2.5 }, "preprocess: crop is 2.5, must be a positive integer"],
    [{ mean: [0, NaN, 0] }, "preprocess: mean is [0, NaN, 0], must be three finite numbers"],
    [{ std: [1, 0, 1] }, "preprocess: std is [1, 0, 1], must be three finite numbers other than 0"],
    // deno-lint-ignore no-explicit-any -- as untyped code may pass
    [{ mean: 0.5 as any }, "preprocess: mean is 0.5, must be three finite numbers"],
    // deno-lint-ignore no-explicit-any
    [{ channels: "gbr" as any }, 'preprocess: channels is "gbr", must be "rgb" or "bgr"'],
  ];
  for (const [options, message] of invalid) {
    const all = { ...imagenetPreprocessing, ...options };
    assertThrows(() => preprocess(image, all), ArgumentError, message);
  }
  const others = [
    [null, "options is null"],
    [{ resize: 2, crop: 2 }, "mean is undefined"],
    [{ ...imagenetPreprocessing, filter: "bicubic" }, 'an option is "filter"'],
  ] as const;
  for (const [options, message] of others) {
    const call = () => preprocess(image, options as unknown as Preprocessing);
    assertThrows(call, ArgumentError, `preprocess: ${message}`);
  }
});

Deno.test("preprocess() crops rectangles from the centre", () => {
  const data = new Uint8Array(6 * 4 * 3).map((_, i) => Math.floor(i / 3)); // the index of the pixel
  const options = { resize: 4, crop: 2, cropWidth: 4, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const values = preprocess({ width: 6, height: 4, data }, options);
  const rows = [7, 8, 9, 10, 13, 14, 15, 16];
  assertEquals([...values].map((value) => Math.round(value * 255)), [...rows, ...rows, ...rows]);
  assertThrows(
    () => preprocess({ width: 6, height: 4, data }, { ...options, cropWidth: 0 }),
    ArgumentError,
    "preprocess: cropWidth is 0",
  );
});

Deno.test("preprocess() with one channel takes Pillow's luma, and can put channels last", () => {
  const data = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9);
  const image = { width: 2, height: 2, data };
  const plain: Preprocessing = { resize: 2, crop: 2, mean: [0, 0, 0], std: [1, 1, 1] };
  const bytes = (options: Partial<Preprocessing>) =>
    Array.from(preprocess(image, { ...plain, ...options }), (v) => Math.round(v * 255));
  assertEquals(bytes({ channels: "gray" }), [76, 150, 29, 9]);
  assertEquals(bytes({ layout: "nhwc" }), [...data]);
  assertEquals(bytes({ layout: "nhwc", channels: "bgr" }).slice(0, 3), [0, 0, 255]);
  assertThrows(() => bytes({ layout: "chw" as "nchw" }), ArgumentError, '"nchw" or "nhwc"');
});

Deno.test("preprocess() rounds sizes and positions like torchvision or Caffe", () => {
  const columns = (width: number, rounding: Preprocessing["rounding"]) => {
    const data = Uint8Array.from(
      { length: width * 12 },
      (_, i) => 10 * (Math.floor(i / 3) % width),
    );
    const options: Preprocessing = {
      resize: 4,
      crop: 3,
      mean: [0, 0, 0],
      std: [1, 1, 1],
      rounding,
    };
    return Array.from(
      preprocess({ width, height: 4, data }, options).subarray(0, 3),
      (v) => Math.round(v * 255),
    );
  };
  // the crop starts at 1.5 of 6 columns: rounded to 2, or truncated to 1
  assertEquals(columns(6, "torchvision"), [20, 30, 40]);
  assertEquals(columns(6, "caffe"), [10, 20, 30]);
});

Deno.test("cropRegion() is the crop in the pixels of the image", () => {
  const preprocessing = { resize: 256, crop: 224, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const region = (width: number, height: number, more = {}) =>
    Object.values(cropRegion({ width, height }, { ...preprocessing, ...more }));
  assertAllClose(region(512, 512), [32, 32, 448, 448], { abs: 1e-9 });
  // resized to 384 × 256, cropped at 80 and 16
  assertAllClose(region(768, 512), [160, 32, 448, 448], { abs: 1e-9 });
  assertAllClose(region(512, 768, { cropWidth: 100 }), [156, 160, 200, 448], { abs: 1e-9 });
  // padded on all sides
  assertAllClose(region(100, 100, { resize: 100, crop: 120 }), [-10, -10, 120, 120], { abs: 1e-9 });
});
