/** Files with drawn shapes, to teach and to try. */

import { Buffer } from "node:buffer";
import { encodePng, RandomGenerator } from "../../mod.ts";

/** A file as a reader would choose it. */
export interface ChosenFile {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

type Shape = "circle" | "square";

const generator = new RandomGenerator(7);

/** A number from a range. */
function draw(from: number, to: number): number {
  return from + (to - from) * generator.random() * 2 ** -32;
}

/**
 * A bright shape of any size at any place, on a dark background. Both shapes cover the same area.
 */
export async function shapeFile(shape: Shape, name: string): Promise<ChosenFile> {
  const side = 96, data = new Uint8Array(side * side * 3);
  const radius = draw(14, 34), half = radius * Math.sqrt(Math.PI) / 2;
  const [x, y] = [0, 1].map(() => draw(radius + 2, side - radius - 2));
  const dark = [0, 1, 2].map(() => draw(0, 110)), bright = [0, 1, 2].map(() => draw(150, 255));
  for (let i = 0; i < side * side; i++) {
    const dx = i % side - x, dy = Math.floor(i / side) - y;
    const isInside = shape === "circle"
      ? Math.hypot(dx, dy) < radius
      : Math.max(Math.abs(dx), Math.abs(dy)) < half;
    data.set(isInside ? bright : dark, 3 * i);
  }
  const png = await encodePng({ width: side, height: side, data });
  return { name: `${name}.png`, mimeType: "image/png", buffer: Buffer.from(png) };
}

/** A number of files with a shape. */
export function shapeFiles(shape: Shape, count: number): Promise<ChosenFile[]> {
  return Promise.all(
    Array.from({ length: count }, (_, i) => shapeFile(shape, `${shape} ${i + 1}`)),
  );
}
