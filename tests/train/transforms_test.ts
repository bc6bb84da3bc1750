import { ArgumentError } from "../../src/errors.ts";
import { RandomGenerator } from "../../src/random.ts";
import {
  colorJitter,
  randomHorizontalFlip,
  randomResizedCrop,
} from "../../src/train/transforms.ts";
import { assertEquals, assertThrows } from "../assert.ts";

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
