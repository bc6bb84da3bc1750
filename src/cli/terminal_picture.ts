/** Draws pictures in a terminal: with half blocks in colours, kitty's graphics, or sixel. */

import { encodePng } from "../image/encode_png.ts";
import type { RgbImage } from "../image/pixels.ts";
import { resize } from "../image/resize.ts";
import type { showModes } from "./args_explain.ts";
import { envIfGranted } from "./errors.ts";
import { sixels } from "./sixel.ts";
import { columnsOfTerminal, print } from "./terminal.ts";

/** How a terminal shows pictures. */
export type PictureFormat = "kitty" | "sixel" | "truecolor" | "256";

/** Pixels of a character cell, where the terminal has pictures. The real size is not known. */
const cell = { width: 10, height: 20 };

/** Programs with kitty's graphics, and programs with sixel, by TERM_PROGRAM. */
const kittyPrograms = /^(ghostty|kitty|WezTerm)$/i, sixelPrograms = /^(contour|foot|mintty)$/i;

/** Draws pictures side by side in the terminal. */
export async function showPictures(
  pictures: readonly RgbImage[],
  mode: typeof showModes[number],
): Promise<void> {
  // without the permission, the simplest colours
  const format = mode === "auto" ? pictureFormat(envIfGranted) : mode;
  print(await pictureText(pictures, format, columnsOfTerminal()));
}

/** The best format that the terminal is known to support. Nothing is asked of the terminal itself. */
export function pictureFormat(variable: (name: string) => string | undefined): PictureFormat {
  const term = variable("TERM") ?? "", program = variable("TERM_PROGRAM") ?? "";
  // tmux and screen pass no pictures on
  if (!/^(tmux|screen)/.test(term) && !/^tmux$/.test(program)) {
    const isKitty = variable("KITTY_WINDOW_ID") !== undefined ||
      /^xterm-(kitty|ghostty)$/.test(term);
    if (isKitty || kittyPrograms.test(program)) return "kitty";
    if (/^(foot|mlterm|yaft|contour)(-|$)/.test(term) || sixelPrograms.test(program)) {
      return "sixel";
    }
  }
  return /^(truecolor|24bit)$/.test(variable("COLORTERM") ?? "") ? "truecolor" : "256";
}

/**
 * Returns pictures side by side, as text for a terminal. They are made smaller to fit into its columns,
 * but never larger.
 */
export async function pictureText(
  images: readonly RgbImage[],
  format: PictureFormat,
  columns: number,
): Promise<string> {
  const isText = format === "truecolor" || format === "256";
  const unit = isText ? { width: 1, height: 2 } : cell; // a half block is half as high as a cell
  const each = Math.max(Math.floor((Math.min(columns, 160) - images.length) / images.length), 1);
  const fitted = images.map((image) => fit(image, each * unit.width, 30 * unit.height));
  const picture = sideBySide(fitted, unit.width);
  if (format === "kitty") return kittyGraphics(await encodePng(picture));
  if (format === "sixel") return sixels(picture);
  return halfBlocks(picture, format === "256");
}

/** Makes an image smaller, so that it fits. Heights become even. */
function fit(image: RgbImage, maxWidth: number, maxHeight: number): RgbImage {
  const scale = Math.min(1, maxWidth / image.width, maxHeight / image.height);
  const width = Math.max(Math.round(image.width * scale), 1);
  return resize(image, width, 2 * Math.max(Math.round(image.height * scale / 2), 1));
}

/** The images next to each other, with a black gap. */
function sideBySide(images: readonly RgbImage[], gap: number): RgbImage {
  const height = Math.max(...images.map((image) => image.height));
  const width = images.reduce((sum, image) => sum + image.width + gap, -gap);
  const data = new Uint8Array(width * height * 3);
  let left = 0;
  for (const image of images) {
    const length = image.width * 3;
    for (let y = 0; y < image.height; y++) {
      data.set(image.data.subarray(y * length, (y + 1) * length), (y * width + left) * 3);
    }
    left += image.width + gap;
  }
  return { width, height, data };
}

/** Two pixels in each character: the upper half is the text's colour, the lower half the background. */
function halfBlocks({ width, height, data }: RgbImage, isIndexed: boolean): string {
  const color = (x: number, y: number) => {
    const [r, g, b] = data.subarray((y * width + x) * 3);
    return isIndexed ? `5;${nearestOf256(r, g, b)}` : `2;${r};${g};${b}`;
  };
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = "", upper = "", lower = "";
    for (let x = 0; x < width; x++) {
      const top = color(x, y), bottom = color(x, y + 1);
      if (top !== upper) line += `\x1b[38;${upper = top}m`;
      if (bottom !== lower) line += `\x1b[48;${lower = bottom}m`;
      line += "▀";
    }
    lines.push(`${line}\x1b[0m`);
  }
  return lines.join("\n");
}

/** The levels of the 6 × 6 × 6 colours from number 16 on. */
const levels = [0, 95, 135, 175, 215, 255];

/** The nearest of the 256 colours of xterm: of its colour cube, or of its greys from number 232 on. */
export function nearestOf256(r: number, g: number, b: number): number {
  const nearest = (value: number) =>
    value < 48 ? 0 : value < 115 ? 1 : Math.floor((value - 35) / 40);
  const [red, green, blue] = [r, g, b].map(nearest);
  const grey = Math.min(Math.max(Math.round(((r + g + b) / 3 - 8) / 10), 0), 23);
  const shade = 8 + 10 * grey;
  const distance = (x: number, y: number, z: number) => (r - x) ** 2 + (g - y) ** 2 + (b - z) ** 2;
  const isGrey = distance(shade, shade, shade) <
    distance(levels[red], levels[green], levels[blue]);
  return isGrey ? 232 + grey : 16 + 36 * red + 6 * green + blue;
}

/** kitty's graphics protocol: a PNG in chunks of 4096 characters of base64. No answer is wanted. */
function kittyGraphics(png: Uint8Array<ArrayBuffer>): string {
  const text = png.toBase64(), parts: string[] = [];
  for (let at = 0; at < text.length; at += 4096) {
    const keys = at === 0 ? "a=T,f=100,q=2," : "", more = at + 4096 < text.length ? 1 : 0;
    parts.push(`\x1b_G${keys}m=${more};${text.slice(at, at + 4096)}\x1b\\`);
  }
  return parts.join("");
}
