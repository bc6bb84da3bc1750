/** What the page starts with, and the signals and kernels to choose from. */

import type { Inputs } from "./compute.ts";

/** The target is what the kernel ½, 1, ½ makes of the signal. */
export const start = (): Inputs => ({
  x: [1, 3, 2, -1, -2, 0, 2, 1],
  w: [1, 2, -1],
  t: [2.5, 4.5, 3, -1, -2.5, 0, 2.5, 2],
  rate: 0.01,
  size: 3,
  stride: 2,
  g: [1, -2, 3, 1, -1, 2, 1],
});

export const signals: Readonly<Record<string, readonly number[]>> = {
  spike: [0, 0, 0, 4, 0, 0, 0, 0],
  step: [-2, -2, -2, -2, 3, 3, 3, 3],
  wave: [0, 2, 3, 2, 0, -2, -3, -2],
};

export const kernels: Readonly<Record<string, readonly number[]>> = {
  copy: [0, 1, 0],
  blur: [0.5, 1, 0.5],
  edge: [-1, 0, 1],
  shift: [1, 0, 0],
};

/** A kernel of another odd length: the middle, or with zeros on both sides. */
export function resized(w: readonly number[], length: number): number[] {
  const before = (length - w.length) / 2;
  return Array.from({ length }, (_, k) => w[k - before] ?? 0);
}
