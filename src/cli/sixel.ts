/** Pictures in sixel, the graphics of DEC's terminals. */

import type { RgbImage } from "../image/pixels.ts";

/** Levels of red, green and blue: 6 × 7 × 6 colours, of the 256 that terminals have. */
const levels = [6, 7, 6];

/** A 4 × 4 matrix of thresholds, so that dots mix colours that the palette lacks. */
const bayer = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5];

/** An image in sixel, with ordered dithering. */
export function sixels({ width, height, data }: RgbImage): string {
  const indices = new Uint8Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const threshold = (bayer[(y % 4) * 4 + x % 4] + 0.5) / 16;
      indices[i] = levels.reduce((index, count, c) => {
        const level = Math.floor(data[i * 3 + c] / 255 * (count - 1) + threshold);
        return index * count + Math.min(level, count - 1);
      }, 0);
    }
  }
  const bands: string[] = [];
  for (let y = 0; y < height; y += 6) bands.push(band(indices, width, y, Math.min(6, height - y)));
  const raster = `"1;1;${width};${height}`;
  return `\x1bP0;1q${raster}${palette(new Set(indices))}${bands.join("-")}\x1b\\`;
}

/** The definitions of the colours that are used, in percent. */
function palette(used: ReadonlySet<number>): string {
  return [...used].sort((a, b) => a - b).map((index) => {
    const [, green, blue] = levels;
    const steps = [
      Math.floor(index / (green * blue)),
      Math.floor(index / blue) % green,
      index % blue,
    ];
    const percents = steps.map((step, c) => Math.round(100 * step / (levels[c] - 1)));
    return `#${index};2;${percents.join(";")}`;
  }).join("");
}

/** Six rows: for each colour, a character for each column says which rows have it. */
function band(indices: Uint8Array, width: number, top: number, rows: number): string {
  const masks = new Map<number, Uint8Array>();
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < width; x++) {
      const index = indices[(top + row) * width + x];
      let mask = masks.get(index);
      if (!mask) masks.set(index, mask = new Uint8Array(width));
      mask[x] |= 1 << row;
    }
  }
  return [...masks].map(([index, mask]) => `#${index}${runs(mask)}`).join("$");
}

/** The characters of the masks. Four or more equal ones are written as a number and one of them. */
function runs(masks: Uint8Array): string {
  let text = "";
  for (let x = 0; x < masks.length;) {
    const start = x, mask = masks[x];
    while (x < masks.length && masks[x] === mask) x++;
    const char = String.fromCharCode(63 + mask), count = x - start;
    if (mask === 0 && x === masks.length) break; // nothing follows
    text += count > 3 ? `!${count}${char}` : char.repeat(count);
  }
  return text;
}
