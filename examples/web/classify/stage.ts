/** The photo, with the heat map over it. */

/// <reference lib="dom" />

import { byId, printable } from "./elements.ts";
import type { Method, Region } from "./page_calls.ts";

const photo = byId<HTMLCanvasElement>("photo"), heat = byId<HTMLCanvasElement>("heat");

/** Shows a photo, without a heat map. */
export function showPhoto(picture: ImageBitmap): void {
  hideHeat();
  draw(photo, picture);
  byId("picture").style.setProperty("--ratio", String(photo.width / photo.height));
}

/** Shows a heat map over a region of the photo. */
export function showHeat(picture: ImageBitmap, { left, top, width, height }: Region): void {
  draw(heat, picture);
  const { style } = heat;
  for (const [side, share] of Object.entries({ left, top, width, height })) {
    style.setProperty(side, `${share * 100}%`);
  }
  heat.hidden = false;
}

/** Shows the photo as it is. */
export function hideHeat(): void {
  heat.hidden = true;
}

/** Says what the heat map of a class shows. */
export function explainHeat(method: Method | "none", label: string): void {
  const [name] = printable(label).split(", ");
  byId("legend").hidden = byId<HTMLInputElement>("opacity").disabled = method === "none";
  byId("method-note").textContent = method === "grad-cam"
    ? `Bright: where the network found “${name}”. It sees only this square.`
    : method === "saliency"
    ? `Bright: the pixels that change the score of “${name}” most.`
    : "";
}

/** Sets how much the heat map covers of the photo, from 0 to 1. */
export function setOpacity(opacity: number): void {
  heat.style.opacity = String(opacity);
}

/** Says what the photo shows, for those who do not see it. */
export function describePhoto(label: string): void {
  photo.setAttribute("aria-label", `The photo: it looks like ${label}`);
}

function draw(canvas: HTMLCanvasElement, picture: ImageBitmap): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d")!.drawImage(picture, 0, 0);
  picture.close();
}
