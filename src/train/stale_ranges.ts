/**
 * The input ranges of convolutions, which training makes wrong.
 *
 * @module
 */

import { Conv } from "../layers/conv.ts";
import { Graph } from "../layers/graph.ts";
import type { Layer } from "../layers/layer.ts";

/**
 * Forgets the `inputRange` of convolutions behind trained layers. It was found with other weights, and
 * values beyond it would be clamped in 8 bits.
 */
export function forgetRanges(model: Layer): void {
  if (!(model instanceof Graph)) return;
  let isChanged = false;
  for (const [, layer] of model.leaves()) {
    if (isChanged && layer instanceof Conv) layer.inputRange = null;
    isChanged ||= Object.values(layer.parameters).some(({ requiresGrad }) => requiresGrad);
  }
}
