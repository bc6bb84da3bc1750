/** A photo, and what the model says about it. */

import type { ExplainOptions, Explanation } from "../explain/explain.ts";
import { heatMaps } from "../explain/methods.ts";
import { decodeImage } from "../image/decode.ts";
import type { RgbImage } from "../image/pixels.ts";
import { cropRegion } from "../image/preprocess.ts";
import type { Classifier, Prediction } from "../models/mod.ts";
import type { Options } from "./args.ts";
import type { Input } from "./inputs.ts";
import { warn } from "./terminal.ts";

/** A decoded photo and what the model says about it. */
export interface Explained {
  readonly image: RgbImage;
  /** All classes, the most probable first. */
  readonly predictions: readonly Prediction[];
  /** The explanations, in the order of the classes that were asked for. */
  readonly explanations: readonly Explanation[];
}

/** Decodes a photo, and prints its warnings. */
export async function readPhoto({ name, read }: Input, { quiet }: Options): Promise<RgbImage> {
  const onWarning = (line: string) => void (quiet || warn(line));
  return await decodeImage(await read(), { name, onWarning });
}

/**
 * Classifies an image, and explains some classes.
 *
 * @param choose Returns the indices of the classes to explain.
 */
export async function explainImage(
  model: Classifier,
  image: RgbImage,
  options: ExplainOptions,
  choose: (predictions: readonly Prediction[]) => readonly number[],
): Promise<Explained> {
  const values = model.preprocess(image);
  const predictions = await model.classify(values, { topK: model.numClasses });
  const classes = choose(predictions), maps = await heatMaps(model, values, classes, options);
  const region = cropRegion(image, model.preprocessing);
  const explanations = maps.map((map, i) => {
    const prediction = predictions.find(({ index }) => index === classes[i])!;
    return { ...prediction, ...map, region };
  });
  return { image, predictions, explanations };
}
