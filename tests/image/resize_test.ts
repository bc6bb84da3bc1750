import { ArgumentError } from "../../src/errors.ts";
import { fromRgba, type RgbImage } from "../../src/image/pixels.ts";
import { centerCrop } from "../../src/image/preprocess.ts";
import { resize, resizeShorterSide } from "../../src/image/resize.ts";
import { assertEquals, assertThrows } from "../assert.ts";
import { bytesAt, type Place, readCases } from "./fixtures.ts";

interface ResizeCase {
  op: "resize" | "resizeBicubic" | "resizeShorterSide" | "centerCrop";
  args: number[];
  source: string;
  from: [number, number];
  pixels: Place;
  to: [number, number];
  expected: Place;
}

const operations: Record<string, (image: RgbImage, ...args: number[]) => RgbImage> = {
  resize: (image, width, height) => resize(image, width, height),
  resizeBicubic: (image, width, height) => resize(image, width, height, "bicubic"),
  resizeShorterSide: (image, size) => resizeShorterSide(image, size),
  centerCrop: (image, size) => centerCrop(image, size),
};

for (
  const { op, args, source, from, pixels, to, expected } of readCases<ResizeCase>("resize.json")
) {
  Deno.test(`${op}(${args}) equals Pillow bit for bit on ${source}, ${from.join("×")}`, () => {
    const image = { width: from[0], height: from[1], data: bytesAt(pixels) };
    const { width, height, data } = operations[op](image, ...args);
    assertEquals([width, height], to);
    assertEquals(Uint8Array.from(data), bytesAt(expected));
  });
}

Deno.test("resize() keeps a solid colour at any scale", () => {
  for (const level of [0, 1, 127, 254, 255]) {
    const image = { width: 301, height: 7, data: new Uint8Array(301 * 7 * 3).fill(level) };
    for (const [width, height] of [[1, 1], [97, 5], [300, 8], [640, 1]]) {
      assertEquals(new Set(resize(image, width, height).data), new Set([level]));
      assertEquals(new Set(resize(image, width, height, "bicubic").data), new Set([level]));
    }
  }
});

Deno.test("resize() and centerCrop() return a copy even if nothing changes", () => {
  const image = { width: 2, height: 2, data: new Uint8Array(12).fill(9) };
  for (const same of [resize(image, 2, 2), resizeShorterSide(image, 2), centerCrop(image, 2)]) {
    (same.data as Uint8Array)[0] = 1;
    assertEquals(image.data[0], 9);
  }
});

Deno.test("resize(), resizeShorterSide() and centerCrop() reject invalid sizes", () => {
  const image = { width: 2, height: 2, data: new Uint8Array(12) };
  for (const size of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => resize(image, size, 1), ArgumentError, "resize: width is");
    assertThrows(() => resize(image, 1, size), ArgumentError, "resize: height is");
    assertThrows(() => resizeShorterSide(image, size), ArgumentError, "size is");
    assertThrows(() => centerCrop(image, size), ArgumentError, "size is");
  }
  assertThrows(
    () => resize(image, 1, 1, "lanczos" as "bicubic"),
    ArgumentError,
    'resize: interpolation is "lanczos", must be bilinear or bicubic',
  );
});

Deno.test("resize() and centerCrop() reject data of the wrong length", () => {
  for (const length of [11, 13, 16]) {
    const image = { width: 2, height: 2, data: new Uint8Array(length) };
    for (const call of [() => resize(image, 1, 1), () => centerCrop(image, 1)]) {
      assertThrows(call, ArgumentError, `image.data.length is ${length}, must be 12`);
    }
  }
  const empty = { width: 0, height: 2, data: new Uint8Array() };
  assertThrows(() => resize(empty, 1, 1), ArgumentError, "image.width is 0");
});

Deno.test("fromRgba() drops alpha and keeps the colour of transparent pixels", () => {
  const data = Uint8ClampedArray.of(1, 2, 3, 0, 4, 5, 6, 128, 7, 8, 9, 255);
  const image = fromRgba(new ImageData(data, 1, 3));
  assertEquals(image, { width: 1, height: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9) });
});

Deno.test("fromRgba() rejects data without alpha, and floats", () => {
  const rgb = { width: 1, height: 3, data: new Uint8Array(9) };
  assertThrows(() => fromRgba(rgb), ArgumentError, "image.data.length is 9, must be 12");
  const floats = { width: 1, height: 1, data: new Float32Array(4) };
  // deno-lint-ignore no-explicit-any
  assertThrows(() => fromRgba(floats as any), ArgumentError, "must be bytes");
});
