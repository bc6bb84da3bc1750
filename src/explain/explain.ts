/**
 * Why a network chose a class.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { RgbImage } from "../image/pixels.ts";
import { cropRegion, type Region } from "../image/preprocess.ts";
import { Classifier } from "../models/classifier.ts";
import type { Prediction } from "../models/classify.ts";
import { checkOptions } from "../options.ts";
import type { HeatMap } from "./heat_map.ts";
import type { MethodOptions } from "./methods.ts";

/** Options of {@linkcode explain}. */
export interface ExplainOptions extends MethodOptions {
  /**
   * The index, the label or the WordNet id of the class. A text of digits is a label if there is such
   * a class, or else an index. Default: the most probable one.
   */
  readonly class?: number | string;
}

/**
 * A class, its probability, and where in the image the network found it: a grid of `height` rows and
 * `width` columns, whose values `heat` are from 0 to 1. {@linkcode drawHeatMap} draws it.
 */
export interface Explanation extends Prediction, HeatMap {
  /** The part of the image that the network saw, which the map covers. */
  readonly region: Region;
}

/**
 * Shows where in an image a network found a class. The network's weights stay as they are, and get no
 * gradients.
 *
 * @param model The network, in evaluation mode.
 * @param image The image. Its map covers the part that the network sees: the centre crop.
 * @param options `class`; `method`: "grad-cam" (default) or "saliency", which adds noise: `samples`
 * copies (default 16), its standard deviation `noise` (0.15), and its `seed` (0).
 * @returns The class and its map. The map of Grad-CAM is as large as the last map of features, such as
 * 7×7; that of saliency has a value for each pixel that the network sees.
 * @throws {ArgumentError} When there is no such class or method, or an option is invalid.
 * @throws {PembrokeError} When the network has no weights, is in training mode, has no map of features
 * that Grad-CAM could use, or is changed before the explanation is complete.
 *
 * @example
 * ```ts
 * import { decodeImage } from "../image/mod.ts";
 * import { loadModel } from "../models/load_model.ts";
 * import { explain } from "./explain.ts";
 *
 * using model = await loadModel();
 * const image = await decodeImage(await Deno.readFile("tests/photos/coffee.jpg"));
 * const { label, probability, heat, width, height } = await explain(model, image);
 * console.log(label, probability, `${width}×${height}`, heat); // espresso 0.98 4×4 …
 * ```
 */
export async function explain(
  model: Classifier,
  image: RgbImage,
  options: ExplainOptions = {},
): Promise<Explanation> {
  if (!(model instanceof Classifier)) {
    throw new ArgumentError("explain", "model", model, "a Classifier");
  }
  checkOptions("explain", options, ["class", "method", "samples", "noise", "seed"]);
  const values = model.preprocess(image), region = cropRegion(image, model.preprocessing);
  // a file of its own for pages
  const { heatMaps, whileUnchanged } = await import("./methods.ts");
  return await whileUnchanged(model, async () => {
    const predictions = await model.classify(values, { topK: model.numClasses });
    const index = options.class === undefined
      ? predictions[0].index
      : classIndex(model, options.class);
    const prediction = predictions.find((prediction) => prediction.index === index)!;
    const [map] = await heatMaps(model, values, [index], options);
    return { ...prediction, ...map, region };
  });
}

/**
 * The index of a class.
 *
 * @param wanted Its index; or its label, WordNet id, one of several names in its label, or its index
 * as text.
 * @throws {ArgumentError} When there is no such class.
 */
export function classIndex(
  { classes }: Pick<Classifier, "classes">,
  wanted: number | string,
): number {
  const index = typeof wanted === "string" ? findClass(classes, wanted) : wanted;
  if (Number.isInteger(index) && index >= 0 && index < classes.length) return index;
  const expected = `an index from 0 to ${classes.length - 1}, or a label of the model`;
  throw new ArgumentError("explain", "class", wanted, expected);
}

/**
 * The first class with the name: as its whole label, its WordNet id, or one name in its label. If there
 * is none, the index that the text is.
 */
function findClass(classes: Classifier["classes"], wanted: string): number {
  const name = wanted.toLowerCase();
  if (name === "") return -1; // classes without a WordNet id have this one
  const whole = classes.findIndex(({ wnid, label }) =>
    [wnid, label].some((text) => text.toLowerCase() === name)
  );
  if (whole >= 0) return whole;
  const part = classes.findIndex(({ label }) => label.toLowerCase().split(", ").includes(name));
  return part < 0 && /^\d+$/.test(name) ? Number(name) : part;
}
