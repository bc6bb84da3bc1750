/**
 * The methods that explain a class. Pages load them with the first explanation.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { versionedTensor } from "../models/classify.ts";
import { gradCam } from "./grad_cam.ts";
import type { HeatMap } from "./heat_map.ts";
import { saliency, type SaliencyOptions } from "./saliency.ts";

/**
 * How to explain a class.
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

/**
 * Runs the steps of an explanation. Other code may change the network while they wait.
 *
 * @throws {PembrokeError} When it does: the steps would belong to different networks.
 */
export async function whileUnchanged<T>(model: Classifier, run: () => Promise<T>): Promise<T> {
  const before = stateOf(model);
  const check = (cause?: unknown) => {
    const after = stateOf(model);
    if (after.length === before.length && after.every((item, i) => item === before[i])) return;
    throw new PembrokeError(
      `explain: ${model.type} got other weights or layers meanwhile; change a network only after ` +
        "explain() has returned",
      { cause },
    );
  };
  let result: T;
  try {
    result = await run();
  } catch (error) {
    check(error); // such as memory that was freed
    throw error;
  }
  check();
  return result;
}

/** The layers of a network, the tensors of their values, and the versions of these. */
function stateOf(model: Classifier): unknown[] {
  const tensors = Array.from(model.stateDict().values(), versionedTensor);
  return [model.expand(), ...tensors, ...tensors.map((tensor) => tensor?.version)];
}
