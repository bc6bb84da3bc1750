/** What the pages of reports share. They need no other files. */

import { encodePng } from "../image/encode_png.ts";
import type { RgbImage } from "../image/pixels.ts";
import { resize } from "../image/resize.ts";
import { percent } from "./output.ts";
import { printable } from "./terminal.ts";

/** Text for HTML. Names come from files and models, which need not be trustworthy. */
export function escape(text: string): string {
  return printable(text).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** A name for HTML in a line with other text, which a name that reads from right to left must not turn. */
export function nameHtml(text: string): string {
  return `<bdi>${escape(text)}</bdi>`;
}

/** A fraction in percent for HTML, on one line. */
export function percentHtml(fraction: number): string {
  return escape(percent(fraction)).replace(" ", "&nbsp;");
}

/** An image as the data URL of a PNG. */
export async function dataUrl(image: RgbImage): Promise<string> {
  return `data:image/png;base64,${(await encodePng(image)).toBase64()}`;
}

/** Shrinks an image, so that its longer side has at most `longest` pixels. */
export function shrink(image: RgbImage, longest: number): RgbImage {
  const { width, height } = image, scale = Math.min(1, longest / Math.max(width, height));
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  return resize(image, side(width), side(height));
}
