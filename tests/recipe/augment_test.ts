import { preprocess } from "../../src/image/preprocess.ts";
import { RandomGenerator } from "../../src/random.ts";
import { drawView, plainView, Renderer, type View } from "../../weights/recipe/augment.ts";
import { imageDataset } from "../../weights/recipe/dataset.ts";
import { recipes } from "../../weights/recipe/recipe.ts";
import { assert, assertAllClose, assertEquals } from "../assert.ts";

const bytes = { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] } as const; // values stay bytes
const statistics = { mean: [0.5, 0.4, 0.3], std: [0.3, 0.25, 0.2] } as const;

/** Two 4×4 images. In the second, red is 10·row + column, green is red + 100, blue is 60·column. */
function pixels(): Uint8Array {
  const second = Array.from({ length: 16 }, (_, i) => {
    const row = i >> 2, column = i & 3;
    return [10 * row + column, 100 + 10 * row + column, 60 * column];
  });
  return Uint8Array.from([...new Array(48).fill(255), ...second.flat()]);
}

/** Renders a view of the second image. */
function render(view: Partial<View>, statistics: Renderer["statistics"] = bytes): number[] {
  const out = new Float32Array(48);
  new Renderer(4, statistics).render(pixels(), 48, { ...plainView(4), ...view }, out);
  return [...out];
}

/** Returns the rows of the red plane. */
const redRows = (values: readonly number[]) =>
  Array.from({ length: 4 }, (_, y) => values.slice(4 * y, 4 * y + 4));

Deno.test("the plain view equals the result of preprocess()", () => {
  const image = { width: 4, height: 4, data: pixels().subarray(48) };
  const expected = preprocess(image, { resize: 4, crop: 4, ...statistics });
  assertAllClose(render({}, statistics), expected, { abs: 1e-6 });
});

Deno.test("a mirrored view swaps left and right in every plane", () => {
  const plain = render({}), mirrored = render({ mirrored: true });
  const expected = plain.map((_, i) => plain[i - i % 4 + 3 - i % 4]);
  assertAllClose(mirrored, expected, { abs: 1e-4 });
});

Deno.test("a crop is resized with bilinear interpolation, and repeats the border", () => {
  // The upper right quarter: columns 2 and 3 of rows 0 and 1, at ¼, ¾, … between pixel centres.
  const values = redRows(render({ left: 2, top: 0, width: 2, height: 2 }));
  const columns = [1.75, 2.25, 2.75, 3], rows = [0, 0.25, 0.75, 1.25];
  for (const [y, row] of rows.entries()) {
    assertAllClose(values[y], columns.map((column) => 10 * row + column), { abs: 1e-4 });
  }
});

Deno.test("brightness, contrast and saturation change colours by their formulas", () => {
  const plain = render({}, statistics);
  const colour = (values: readonly number[], c: number, i: number) =>
    values[16 * c + i] * statistics.std[c] + statistics.mean[c];
  const greys = Array.from(
    { length: 16 },
    (_, i) =>
      0.299 * colour(plain, 0, i) + 0.587 * colour(plain, 1, i) + 0.114 * colour(plain, 2, i),
  );
  const changed = (view: Partial<View>) => render(view, statistics);
  const bright = changed({ brightness: 1.5 }), flat = changed({ contrast: 0.5 });
  const pale = changed({ saturation: 0.25 });
  const all = changed({ brightness: 0.8, contrast: 1.2, saturation: 0.5 });
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < 16; i++) {
      const x = colour(plain, c, i), mean = statistics.mean[c];
      const close = (values: readonly number[], expected: number) =>
        assertAllClose([colour(values, c, i)], [expected], { abs: 1e-5 });
      close(bright, 1.5 * x);
      close(flat, mean + 0.5 * (x - mean));
      close(pale, 0.25 * x + 0.75 * greys[i]);
      close(all, 0.8 * (mean + 1.2 * (0.5 * x + 0.5 * greys[i] - mean)));
    }
  }
});

Deno.test("random views are inside the image, in the ranges, and half of them mirrored", () => {
  const { augmentation } = recipes["alexnet-tiny"], view = plainView(64);
  const generator = new RandomGenerator(5);
  let mirrored = 0, smallest = 1, largest = 0;
  for (let i = 0; i < 2000; i++) {
    drawView(view, 64, augmentation, generator);
    const { left, top, width, height } = view;
    assert(left >= 0 && top >= 0 && left + width <= 64.001 && top + height <= 64.001);
    assert(width / height > 0.749 && width / height < 1.334, `${width} : ${height}`);
    mirrored += Number(view.mirrored);
    smallest = Math.min(smallest, width * height / 4096);
    largest = Math.max(largest, width * height / 4096);
  }
  assert(mirrored > 900 && mirrored < 1100, `${mirrored} of 2000 mirrored`);
  const [minimum] = augmentation.scale;
  assert(smallest > minimum - 0.01 && smallest < minimum + 0.02, `${smallest}`);
  assert(largest > 0.95 && largest <= 1, `${largest}`);
});

Deno.test("a dataset augments only with a generator, the same for the same seed", async () => {
  const images = { size: 4, length: 2, pixels: pixels(), labels: Uint16Array.of(0, 7) };
  const data = imageDataset(images, {
    statistics: bytes,
    augmentation: recipes["alexnet-tiny"].augmentation,
  });
  const read = async (generator?: RandomGenerator) => {
    const values = new Float32Array(48);
    assertEquals(await data.read(1, values, generator), 7);
    return [...values];
  };
  assertEquals(await read(), render({}));
  const generator = new RandomGenerator(1);
  const first = await read(generator), second = await read(generator);
  assert(first.some((value, i) => value !== second[i]), "two reads must have different views");
  assertEquals(await read(new RandomGenerator(1)), first);
  assertEquals(await read(), render({})); // random views have no effect on later reads
});

Deno.test("half the size averages each square of four pixels", () => {
  const whole = redRows(render({})), half = new Float32Array(12);
  new Renderer(4, bytes, 2).render(pixels(), 48, plainView(4), half);
  const means = [0, 2].flatMap((y) =>
    [0, 2].map((x) => (whole[y][x] + whole[y][x + 1] + whole[y + 1][x] + whole[y + 1][x + 1]) / 4)
  );
  assertAllClose(half.subarray(0, 4), means, { abs: 1e-4 });
  new Renderer(4, bytes, 2).render(pixels(), 48, { ...plainView(4), mirrored: true }, half);
  assertAllClose(half.subarray(0, 4), [means[1], means[0], means[3], means[2]], { abs: 1e-4 });
});

Deno.test("a dataset renders samples at its present size", async () => {
  const images = { size: 4, length: 2, pixels: pixels(), labels: Uint16Array.of(0, 7) };
  const data = imageDataset(images, { statistics: bytes });
  assertEquals([data.side, data.sampleShape], [4, [3, 4, 4]]);
  for (const side of [2, 6, 4]) {
    data.side = side;
    assertEquals(data.sampleShape, [3, side, side]);
    const values = new Float32Array(3 * side * side), expected = new Float32Array(values.length);
    assertEquals(await data.read(1, values), 7);
    new Renderer(4, bytes, side).render(pixels(), 48, plainView(4), expected);
    assertEquals(values, expected);
  }
});

Deno.test("cutout blanks out a square, also where it is partly outside", () => {
  const blank = (hole: View["hole"]) =>
    redRows(render({ hole }, statistics)).map((row) => row.map((value) => Number(value === 0)));
  assertEquals(blank({ side: 0, x: 0.5, y: 0.5 }).flat().every((value) => value === 0), true);
  assertEquals(blank({ side: 0.5, x: 0.5, y: 0.25 }), [
    [0, 1, 1, 0],
    [0, 1, 1, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
  assertEquals(blank({ side: 0.5, x: 1, y: 0 }), [
    [0, 0, 0, 1],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
  const augmentation = { ...recipes["resnet-tiny"].augmentation, cutout: 0.25 };
  const view = plainView(64);
  drawView(view, 64, augmentation, new RandomGenerator(2));
  const { side, x, y } = view.hole;
  assertEquals([side, x > 0 && x < 1, y > 0 && y < 1, x === y], [0.25, true, true, false]);
});
