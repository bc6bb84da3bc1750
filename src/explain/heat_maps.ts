/**
 * The methods that explain a class. Pages load them with the first explanation.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { gradCam } from "./grad_cam.ts";
import type { HeatMap } from "./heat_map.ts";
import { saliency, type SaliencyOptions } from "./saliency.ts";

/**
 * How to explain a class.
 *
 * @internal
 */
export interface MethodOptions extends SaliencyOptions {
  /**
   * "grad-cam", the default, shows in which area the network found the class. "saliency" shows which
   * pixels would change its score most.
   */
  readonly method?: "grad-cam" | "saliency";
}

/** Computes the maps of several classes for one preprocessed image. */
export async function heatMaps(
  model: Classifier,
  values: Float32Array,
  classes: readonly number[],
  options: MethodOptions = {},
): Promise<HeatMap[]> {
  const { method = "grad-cam" } = options;
  if (method === "saliency") return await saliency(model, values, classes, options);
  if (method !== "grad-cam") {
    throw new ArgumentError("explain", "method", method, '"grad-cam" or "saliency"');
  }
  using x = model.backend.upload(values, model.inputShape());
  return await gradCam(model, x, classes);
}
