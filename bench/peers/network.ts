/**
 * Networks with weights, which all programs share.
 *
 * @module
 */

import { createBackend, createModel, type NetworkName } from "../../mod.ts";
import { randomiseNorms } from "./norms.ts";
import { inputName, type Operation, operationsOf } from "./operations.ts";
import type { Values } from "./peer.ts";
import { product } from "./random.ts";

/** A tensor of weights. */
export interface Weight {
  readonly shape: readonly number[];
  readonly values: Values;
}

/** A network and its weights. */
export interface Network {
  /** The name in `torchvision.models`. */
  readonly name: NetworkName;
  /** [3, H, W] */
  readonly image: readonly number[];
  /** The operations of the forward pass in inference. */
  readonly operations: readonly Operation[];
  /** Parameters by torchvision's names, such as "features.0.weight"; OIHW and [out, in]. */
  readonly parameters: ReadonlyMap<string, Weight>;
  /** Multiply-accumulates of the forward pass of one image. */
  readonly forwardMacs: number;
  /** Those of a training step: forward, and both gradients of each layer except the image's. */
  readonly trainingMacs: number;
}

/**
 * Creates a network with torchvision's random initial values, except for batch normalisations; see
 * {@linkcode randomiseNorms}.
 */
export async function createNetwork(name: NetworkName, seed: number): Promise<Network> {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel(name, { dropout: 0, stochasticDepth: 0 }).init(backend, { seed });
  await randomiseNorms(model, seed);
  const parameters = new Map<string, Weight>();
  for (const [key, { tensor, shape }] of model.stateDict()) {
    parameters.set(key, { shape, values: await tensor!.read() as Values });
  }
  const shape = model.inputShape(), [, ...image] = shape;
  const operations = operationsOf(model, shape), forwardMacs = model.macs(shape);
  return {
    name,
    image,
    operations,
    parameters,
    forwardMacs,
    trainingMacs: 3 * forwardMacs - firstMacs(operations),
  };
}

/** Multiply-accumulates of the convolutions of the image. */
function firstMacs(operations: readonly Operation[]): number {
  return operations.reduce((sum, operation) => {
    if (operation.op !== "conv" || operation.inputs[0] !== inputName) return sum;
    const { shape, g } = operation;
    return sum + product(shape) * g.kh * g.kw * g.inC / g.groups;
  }, 0);
}
