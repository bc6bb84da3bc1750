/**
 * Squeeze and excitation (Hu et al., "Squeeze-and-Excitation Networks", 2018).
 *
 * @module
 */

import { AdaptiveAvgPool2d, Mul } from "../layers/mod.ts";
import type { Activation, Channels, NetworkBuilder } from "./network_builder.ts";

/**
 * Scales each channel by a factor from 0 to 1, which depends on the means of all channels.
 *
 * @param channels The channels, and those in between.
 * @param activation The activation in between.
 * @param scaleActivation The activation that gives the factors.
 */
export function squeezeExcitation(
  b: NetworkBuilder,
  name: string,
  [channels, squeezed]: Channels,
  activation: Activation,
  scaleActivation: Activation,
): string {
  const x = b.last;
  b.add(`${name}.avgpool`, new AdaptiveAvgPool2d(1));
  b.conv(`${name}.fc1`, [channels, squeezed], 1, { bias: true });
  b.add(`${name}.activation`, activation());
  b.conv(`${name}.fc2`, [squeezed, channels], 1, { bias: true });
  const scale = b.add(`${name}.scale_activation`, scaleActivation());
  return b.add(`${name}.mul`, new Mul(), x, scale);
}
