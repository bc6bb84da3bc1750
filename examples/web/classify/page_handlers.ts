/** Computes the calls of the page, in the worker. */

/// <reference lib="dom" />

import { type Classifier, drawHeatMap, explain, type RgbImage } from "../../../mod.ts";
import {
  currentClassifier,
  deviceLimits,
  imageOf,
  loadForLater,
  onDevice,
  useNetwork,
} from "./engine.ts";
import type { PageCalls } from "./page_calls.ts";
import type { Handlers } from "./protocol.ts";

/** The longer side of the picture that the page shows, and the side of a heat map, in pixels. */
const shownSide = 1200, heatSide = 448;

/** The number of classes to show. */
const topK = 5;

/** The most passes and milliseconds of a measurement, after a pass that prepares the network. */
const passes = 7, timeLimit = 1000;

/** The photo in use. */
let photo: RgbImage | undefined;

function currentPhoto(): RgbImage {
  if (!photo) throw new Error("There is no photo: choose one first.");
  return photo;
}

export const pageHandlers: Handlers<PageCalls> = {
  network: ({ source, device }, { report: onShare, signal, pause }) =>
    useNetwork(source, device, { signal, onShare, pause }),

  photo: async (taken, { signal }) => {
    const image = await imageOf(taken);
    const picture = await pictureOf(image, shownSide);
    signal.throwIfAborted(); // a newer photo may have been decoded meanwhile
    photo = image;
    return { picture };
  },

  classify: async () => {
    const scores = await currentClassifier().classify(currentPhoto(), { topK });
    return scores.map(({ index, label, probability }) => ({ index, label, probability }));
  },

  explain: async ({ index, method }) => {
    const image = currentPhoto();
    const map = await explain(currentClassifier(), image, { class: index, method });
    const side = { width: heatSide, height: heatSide };
    const blank = { ...side, data: new Uint8Array(heatSide * heatSide * 3) };
    const square = { ...map, region: { left: 0, top: 0, ...side } };
    const { left, top, width, height } = map.region;
    return {
      picture: await pictureOf(drawHeatMap(blank, square, { alpha: 1 })),
      region: {
        left: left / image.width,
        top: top / image.height,
        width: width / image.width,
        height: height / image.height,
      },
    };
  },

  time: (device, { signal, pause }) => {
    const image = currentPhoto();
    return onDevice(device, signal, (model) => measure(model, image, pause));
  },

  devices: deviceLimits,

  loadForLater,
};

/** The median of several passes of a network that is warm, in milliseconds. */
async function measure(
  model: Classifier,
  image: RgbImage,
  pause: () => Promise<void>,
): Promise<number> {
  const values = model.preprocess(image), times: number[] = [];
  await model.classify(values);
  const end = performance.now() + timeLimit;
  do {
    await pause();
    const start = performance.now();
    await model.classify(values);
    times.push(performance.now() - start);
  } while (times.length < passes && performance.now() < end);
  return times.sort((a, b) => a - b)[times.length >> 1];
}

/** An image for a canvas. A large one shrinks to this side. */
async function pictureOf(image: RgbImage, side = Infinity): Promise<ImageBitmap> {
  const { width, height, data: rgb } = image, data = new Uint8ClampedArray(width * height * 4);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    data[to] = rgb[from];
    data[to + 1] = rgb[from + 1];
    data[to + 2] = rgb[from + 2];
    data[to + 3] = 255;
  }
  const scale = Math.min(1, side / Math.max(width, height));
  return await createImageBitmap(new ImageData(data, width, height), {
    resizeWidth: Math.max(1, Math.round(width * scale)),
    resizeHeight: Math.max(1, Math.round(height * scale)),
    resizeQuality: "high",
  });
}
