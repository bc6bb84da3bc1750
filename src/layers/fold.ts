/**
 * Batch normalisation, folded away after training.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { sameShape } from "../tensor.ts";
import type { Layer } from "./layer.ts";
import { Conv } from "./conv.ts";
import { BatchNorm } from "./norm.ts";
import type { Sequential } from "./sequential.ts";

/**
 * Fills a network without batch normalisation so that it computes what a trained one computes in
 * evaluation. Each convolution takes in the normalisation behind it: the factor goes into its
 * weights, the rest into its bias.
 *
 * @param trained The network that was trained; it is not changed.
 * @param plain The same network without the normalisations, and with a bias in the convolutions
 * that had one behind them. It gets memory on the same backend.
 * @throws {ArgumentError} When a normalisation is not behind a convolution, or the networks differ
 * otherwise.
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
  const layers = trained.leaves(), targets = plain.leaves();
  const kept = layers.filter(([, layer]) => !(layer instanceof BatchNorm));
  if (kept.length !== targets.length) {
    const takes = `${kept.length}, those of the trained network but for its normalisations`;
    throw new ArgumentError(
      "foldBatchNorm",
      "the number of layers of plain",
      targets.length,
      takes,
    );
  }
  for (const [i, [name, layer]] of layers.entries()) {
    if (!(layer instanceof BatchNorm) || layers[i - 1]?.[1] instanceof Conv) continue;
    const before = layers[i - 1]?.[1].type ?? "nothing";
    throw new ArgumentError("foldBatchNorm", `what lies before ${name}`, before, "a convolution");
  }
  const pairs = kept.map(([, layer], i) => {
    const next = layers[layers.findIndex(([, other]) => other === layer) + 1]?.[1];
    const norm = next instanceof BatchNorm ? next : undefined;
    checkPair(targets[i], layer, norm);
    return { layer, target: targets[i][1], norm };
  });
  for (const { layer, target, norm } of pairs) {
    const values = norm ? await folded(layer, norm) : await valuesOf(layer);
    for (const [name, parameter] of Object.entries(target.parameters)) {
      parameter.allocate(trained.backend);
      parameter.write(values[name]);
    }
  }
}

function checkPair(
  [name, target]: readonly [string, Layer],
  layer: Layer,
  norm: BatchNorm | undefined,
): void {
  const parametersOf = (layer: Layer) =>
    Object.entries(layer.parameters).map(([key, { shape }]) => `${key} [${shape.join(", ")}]`);
  const { weight, bias } = target.parameters;
  const fits = norm
    ? bias !== undefined && sameShape(weight.shape, layer.parameters.weight.shape)
    : parametersOf(target).join() === parametersOf(layer).join();
  if (target.type === layer.type && fits) return;
  const got = [target.type, ...parametersOf(target)].join(" ");
  const wanted = [layer.type, ...parametersOf(layer), norm ? "and a bias" : ""].join(" ").trim();
  throw new ArgumentError("foldBatchNorm", `${name} of plain`, got, wanted);
}

/** y = γ·(w·x + b − μ)/√(σ² + ε) + β, as weights and a bias. */
async function folded(conv: Layer, norm: BatchNorm): Promise<Record<string, Float32Array>> {
  const { weight, bias } = await valuesOf(conv);
  const { running_mean: mean, running_var: variance, ...affine } = await valuesOf(norm);
  const factor = Array.from(
    variance,
    (v, c) => (affine.weight?.[c] ?? 1) / Math.sqrt(v + (norm.options.eps ?? 1e-5)),
  );
  const size = weight.length / factor.length; // of one output channel
  return {
    weight: weight.map((w, i) => w * factor[Math.floor(i / size)]),
    bias: mean.map((m, c) => (affine.bias?.[c] ?? 0) + ((bias?.[c] ?? 0) - m) * factor[c]),
  };
}

async function valuesOf(layer: Layer): Promise<Record<string, Float32Array>> {
  const values: Record<string, Float32Array> = {};
  for (const [name, { tensor, backend }] of Object.entries(layer.parameters)) {
    if (!tensor) {
      const state = backend ? "rounded to fewer bits" : "empty";
      throw new ArgumentError("foldBatchNorm", `${layer.type}.${name}`, state, "f32 values");
    }
    values[name] = await tensor.read();
  }
  return values;
}
