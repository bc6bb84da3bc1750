/**
 * Labelled images from sheets: one JPEG for each class, cut into square tiles.
 *
 * @module
 */

import { FileError } from "../../mod.ts";
import { decodeImage, type RgbImage } from "../../src/image/mod.ts";
import { asFileError, readText } from "./task.ts";

/** Square images in memory. */
export interface Images {
  /** Pixels on each side. */
  readonly size: number;
  /** Number of images. */
  readonly length: number;
  /** Bytes of red, green and blue, row by row, one image after another. */
  readonly pixels: Uint8Array;
  /** Their classes. */
  readonly labels: Uint16Array;
}

/** One black image, for a run that only loads a checkpoint. */
export const blankImage: Images = {
  size: 64,
  length: 1,
  pixels: new Uint8Array(64 * 64 * 3),
  labels: new Uint16Array(1),
};

/** A class of the data: its WordNet id, which names the sheets, and its names. */
export interface SheetClass {
  readonly wnid: string;
  readonly label: string;
}

/** The classes of a data folder, from the lines of its `classes.tsv`. */
export async function readClasses(folder: string): Promise<SheetClass[]> {
  const path = `${folder}/classes.tsv`;
  const text = await readText(path);
  const classes = text.split("\n").filter((line) => line !== "").map((line) => {
    const [wnid, label] = line.split("\t");
    return { wnid, label };
  });
  const wrong = classes.findIndex(({ wnid, label }) => !/^n\d+$/.test(wnid) || !label);
  if (wrong >= 0 || classes.length === 0) {
    throw new FileError(path, `line ${wrong + 1} is not a WordNet id, a tab and names`);
  }
  return classes;
}

/** Options of {@linkcode readSheets}. */
export interface SheetOptions {
  /** Pixels on each side of a tile. */
  readonly size: number;
  /** Images taken of each class, from the first on; all of them by default. */
  readonly perClass?: number;
  /** Called after each sheet with the number of sheets read. */
  readonly onSheet?: (done: number) => void;
}

/** Reads `<folder>/<wnid>.jpg` of every class; the sheets must be of one size. */
export async function readSheets(
  folder: string,
  classes: readonly SheetClass[],
  { size, perClass = Infinity, onSheet }: SheetOptions,
): Promise<Images> {
  const tile = size * size * 3;
  let pixels = new Uint8Array(), count = 0;
  for (const [label, { wnid }] of classes.entries()) {
    const path = `${folder}/${wnid}.jpg`;
    const sheet = await readSheet(path);
    const tiles = tilesOf(path, sheet, size);
    if (label === 0) {
      count = Math.min(tiles, perClass);
      pixels = new Uint8Array(classes.length * count * tile);
    }
    if (tiles < count) throw new FileError(path, `holds ${tiles} images, the first sheet ${count}`);
    for (let i = 0; i < count; i++) {
      copyTile(sheet, i, size, pixels.subarray((label * count + i) * tile));
    }
    onSheet?.(label + 1);
  }
  const length = classes.length * count;
  const labels = Uint16Array.from({ length }, (_, i) => Math.floor(i / count));
  return { size, length, pixels, labels };
}

/** Copies the tile with this number, counted row by row, to the beginning of `into`. */
export function copyTile(sheet: RgbImage, index: number, size: number, into: Uint8Array): void {
  const across = sheet.width / size;
  const left = (index % across) * size, top = Math.floor(index / across) * size;
  for (let y = 0; y < size; y++) {
    const from = ((top + y) * sheet.width + left) * 3;
    into.set(sheet.data.subarray(from, from + size * 3), y * size * 3);
  }
}

async function readSheet(path: string): Promise<RgbImage> {
  const bytes = await Deno.readFile(path).catch((error) => {
    throw asFileError(path, error);
  });
  return await decodeImage(bytes, { name: path });
}

function tilesOf(path: string, { width, height }: RgbImage, size: number): number {
  if (width % size === 0 && height % size === 0) return width * height / size ** 2;
  throw new FileError(path, `is ${width}×${height} pixels, no sheet of ${size}×${size} images`);
}
