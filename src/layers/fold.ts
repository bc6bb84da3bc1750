/**
 * Folding batch normalisation into convolutions after training.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { sameShape } from "../tensor.ts";
import type { Layer } from "./layer.ts";
import { Conv } from "./conv.ts";
import { overridesForward } from "./forward.ts";
import { Graph } from "./graph.ts";
import { BatchNorm } from "./norm.ts";
import type { Sequential } from "./sequential.ts";

const op = "foldBatchNorm";

/**
 * Folds the batch normalisations of a trained network into its convolutions. The result is a faster
 * network with the same outputs in evaluation mode, up to rounding.
 *
 * A batch normalisation after a convolution is a factor and a summand per channel: the factor goes
 * into the convolution's weights, the summand into its bias.
 *
 * @param trained The trained network. It is not changed.
 * @param plain The same network without batch normalisation, and with a bias in each convolution
 * that is followed by one. It receives the folded weights, on the same backend.
 * @throws {ArgumentError} When a batch normalisation does not follow a convolution, or other layers
 * differ in type or in the shapes of their parameters. Options such as strides are not compared.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { BatchNorm2d, Conv2d, foldBatchNorm, ReLU, Sequential } from "./mod.ts";
 *
 * using backend = await createBackend();
 * const conv = new Conv2d(3, 8, 3, { bias: false });
 * using trained = new Sequential([conv, new BatchNorm2d(8), new ReLU()]).init(backend);
 * using plain = new Sequential([new Conv2d(3, 8, 3), new ReLU()]);
 * await foldBatchNorm(trained, plain);
 * ```
 */
export async function foldBatchNorm(trained: Sequential, plain: Sequential): Promise<void> {
  for (const [name, net] of Object.entries({ trained, plain })) {
    if (!(net instanceof Graph)) {
      throw new ArgumentError(op, name, net, "a Sequential");
    }
  }
  const pairs = pairsOf(trained.leaves(), plain.leaves());
  for (const { layer, target, norm } of pairs) {
    const values = norm ? await foldParameters(layer, norm) : await readParameters(layer);
    for (const [name, parameter] of target.stateDict()) {
      parameter.allocate(trained.backend);
      parameter.write(values[name]);
    }
  }
}

/** A layer of the trained network, and the one of the plain network that takes its values. */
interface Pair {
  readonly layer: Layer;
  readonly target: Layer;
  /** The batch normalisation that follows the layer. */
  readonly norm: BatchNorm | undefined;
}

/** Checks that two networks fit together, and returns their layers in pairs. */
function pairsOf(
  trained: readonly [string, Layer][],
  plain: readonly [string, Layer][],
): readonly Pair[] {
  const count = trained.filter(([, layer]) => !(layer instanceof BatchNorm)).length;
  if (count !== plain.length) {
    const expected = `${count}, as in trained without batch normalisation`;
    throw new ArgumentError(op, "the number of layers of plain", plain.length, expected);
  }
  for (const [i, [name, layer]] of trained.entries()) {
    if (layer instanceof BatchNorm) checkFoldable(name, layer, trained[i - 1]?.[1]);
  }
  const pairs: Pair[] = [];
  for (const [i, [, layer]] of trained.entries()) {
    if (layer instanceof BatchNorm) continue;
    const next = trained[i + 1]?.[1], norm = next instanceof BatchNorm ? next : undefined;
    const [name, target] = plain[pairs.length];
    checkPair(name, target, layer, norm);
    pairs.push({ layer, target, norm });
  }
  return pairs;
}

/** Checks that a batch normalisation can be folded into the layer before it. */
function checkFoldable(name: string, norm: BatchNorm, before: Layer | undefined): void {
  if (!(before instanceof Conv)) {
    const found = before?.type ?? "missing";
    throw new ArgumentError(op, `the layer before ${name}`, before, "a convolution", found);
  }
  const own = [before, norm].find(overridesForward);
  if (own === undefined) return;
  const expected = "one of this library, without a forward() of its own";
  const found = own.constructor.name;
  throw new ArgumentError(op, `the class of, or before, ${name}`, own, expected, found);
}

/** Checks that a layer of the plain network can take the values of a trained one. */
function checkPair(
  name: string,
  target: Layer,
  layer: Layer,
  norm: BatchNorm | undefined,
): void {
  const parametersOf = (layer: Layer) =>
    [...layer.stateDict()].map(([key, { shape }]) => `${key} [${shape.join(", ")}]`);
  const { weight, bias } = target.parameters, own = layer.parameters.weight;
  const matches = norm
    ? weight && own && bias && sameShape(weight.shape, own.shape)
    : parametersOf(target).join() === parametersOf(layer).join();
  if (target.type === layer.type && matches) return;
  const actual = [target.type, ...parametersOf(target)].join(" ");
  const expected = [layer.type, ...parametersOf(layer), norm ? "with a bias" : ""].join(" ");
  throw new ArgumentError(op, `layer ${name} of plain`, target, expected.trim(), actual);
}

/** y = γ·(w·x + b − μ)/√(σ² + ε) + β as the weights and bias of one convolution. */
async function foldParameters(conv: Layer, norm: BatchNorm): Promise<Record<string, Float32Array>> {
  const { weight, bias } = await readParameters(conv);
  const { running_mean: mean, running_var: variance, ...affine } = await readParameters(norm);
  const factor = Array.from(
    variance,
    (v, c) => (affine.weight?.[c] ?? 1) / Math.sqrt(v + (norm.options.eps ?? 1e-5)),
  );
  const size = weight.length / factor.length; // weights of one output channel
  return {
    weight: weight.map((w, i) => w * factor[Math.floor(i / size)]),
    bias: mean.map((m, c) => (affine.bias?.[c] ?? 0) + ((bias?.[c] ?? 0) - m) * factor[c]),
  };
}

async function readParameters(layer: Layer): Promise<Record<string, Float32Array>> {
  const values: Record<string, Float32Array> = {};
  for (const [name, { tensor, backend }] of layer.stateDict()) {
    if (!tensor) {
      const state = backend ? "stored in fewer than 32 bits" : "uninitialised";
      throw new ArgumentError(op, `${layer.type}.${name}`, undefined, "float32 values", state);
    }
    values[name] = await tensor.read();
  }
  return values;
}
