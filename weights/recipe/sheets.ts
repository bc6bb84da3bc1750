/**
 * Reads labelled images from sheets: one JPEG for each class, made of square tiles.
 *
 * @module
 */

import { FileError } from "../../mod.ts";
import { decodeImage, type RgbImage } from "../../src/image/mod.ts";
import { readText, toFileError } from "./task.ts";

/** Square images in memory. */
export interface Images {
  /** Height and width of the images. */
  readonly size: number;
  /** Number of images. */
  readonly length: number;
  /** Red, green and blue of each pixel, row by row, image by image. */
  readonly pixels: Uint8Array;
  /** The classes of the images. */
  readonly labels: Uint16Array;
}

/** A black image, for runs that only load a checkpoint, which may be anywhere in a long epoch. */
export const blankImage: Images = {
  size: 64,
  length: 2 ** 20,
  pixels: new Uint8Array(64 * 64 * 3),
  labels: new Uint16Array(1),
};

/** A class of the data. */
export interface SheetClass {
  /** The WordNet id, which is the file name of its sheets. */
  readonly wnid: string;
  /** The names of the class. */
  readonly label: string;
}

/** Reads the classes of a data folder from its `classes.tsv`. */
export async function readClasses(folder: string): Promise<SheetClass[]> {
  const path = `${folder}/classes.tsv`;
  const text = await readText(path);
  const classes = text.split(/\r?\n/).filter((line) => line !== "").map((line) => {
    const [wnid, label] = line.split("\t");
    return { wnid, label };
  });
  if (classes.length === 0) throw new FileError(path, "has no classes");
  const invalid = classes.findIndex(({ wnid, label }) => !/^n\d+$/.test(wnid) || !label);
  if (invalid < 0) return classes;
  throw new FileError(path, `line ${invalid + 1} must be a WordNet id, a tab and names`);
}

/** Options of {@linkcode readSheets}. */
export interface SheetOptions {
  /** Height and width of a tile. */
  readonly size: number;
  /** The largest number of images to read of each class. Default: all. */
  readonly perClass?: number;
  /** The number of images at the end of each sheet that are left out. Default 0. */
  readonly holdOut?: number;
  /** Reads the images that are left out, and no others. Default false. */
  readonly heldOut?: boolean;
  /** Called after each sheet with the number of sheets read. */
  readonly onSheet?: (done: number) => void;
}

/** Reads `<folder>/<wnid>.jpg` of every class. All sheets need as many tiles as the first. */
export async function readSheets(
  folder: string,
  classes: readonly SheetClass[],
  { size, perClass = Infinity, holdOut = 0, heldOut = false, onSheet }: SheetOptions,
): Promise<Images> {
  const tile = size * size * 3;
  let pixels = new Uint8Array(), first = 0, count = 0;
  for (const [label, { wnid }] of classes.entries()) {
    const path = `${folder}/${wnid}.jpg`;
    const sheet = await readSheet(path);
    const tiles = countTiles(path, sheet, size);
    if (label === 0) {
      if (tiles <= holdOut) {
        throw new FileError(path, `has ${tiles} images, must be more than the ${holdOut} held out`);
      }
      first = heldOut ? tiles - holdOut : 0;
      count = Math.min(heldOut ? holdOut : tiles - holdOut, perClass);
      pixels = new Uint8Array(classes.length * count * tile);
    }
    const needed = first + count;
    if (tiles < needed) {
      throw new FileError(path, `has ${tiles} images, must be at least ${needed}`);
    }
    for (let i = 0; i < count; i++) {
      copyTile(sheet, first + i, size, pixels.subarray((label * count + i) * tile));
    }
    onSheet?.(label + 1);
  }
  const length = classes.length * count;
  const labels = Uint16Array.from({ length }, (_, i) => Math.floor(i / count));
  return { size, length, pixels, labels };
}

/** Copies a tile to the start of `into`. Tiles are counted row by row. */
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
    throw toFileError(path, error);
  });
  return await decodeImage(bytes, { name: path });
}

function countTiles(path: string, { width, height }: RgbImage, size: number): number {
  if (width % size === 0 && height % size === 0) return width * height / size ** 2;
  throw new FileError(path, `is ${width}×${height} pixels, must be made of ${size}×${size} images`);
}
