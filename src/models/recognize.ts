/**
 * Finding the network whose weights a file holds.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { parameterShapes } from "../layers/parameter.ts";
import type { Preprocessing } from "../image/preprocess.ts";
import { sameShape, type Shape } from "../tensor.ts";
import { escapeText, formatShape } from "../weights/io/quote.ts";
import { checkWeights, parametrization } from "../weights/check.ts";
import { isWeight, type WeightsFile } from "../weights/tensor_file.ts";
import { caffe227Preprocessing } from "./bvlc_alexnet.ts";
import type { Description } from "./description.ts";
import { matchHead } from "./load.ts";
import { createModel, type NetworkName, networkNames, networks } from "./registry.ts";

/** Files with more classes are not networks: it would take too much memory to name the classes. */
const maxClasses = 1 << 20;

/** Files with more tensors are not compared, because no network has even a tenth of them. */
const maxWeights = 1 << 14;

/** The shapes of a network's parameters, and the layer whose shape depends on the number of classes. */
interface Signature {
  readonly shapes: ReadonlyMap<string, Shape>;
  /** The prefix of the last layer's parameters, such as "fc.". */
  readonly lastLayer: string;
}

const signatures = new Map<NetworkName, Signature>();

/** The signature of a network. It needs no memory for weights. */
function signatureOf(name: NetworkName): Signature {
  const known = signatures.get(name);
  if (known) return known;
  const shapes = parameterShapes(networks.get(name)!.create());
  const lastLayer = [...shapes.keys()].at(-1)!.replace(/[^.]+$/, "");
  const signature = { shapes, lastLayer };
  signatures.set(name, signature);
  return signature;
}

/**
 * Compares shapes. The first axis of the last layer has the number of classes, which may differ. A
 * `Linear` may have replaced a 1×1 convolution there: see {@linkcode Classifier.replaceHead}.
 */
function fits({ lastLayer }: Signature, name: string, expected: Shape, shape: Shape): boolean {
  if (!name.startsWith(lastLayer)) return sameShape(expected, shape);
  const isPointwise = expected.length === 4 && expected[2] === 1 && expected[3] === 1;
  const inputs = expected.slice(1, isPointwise && shape.length === 2 ? 2 : undefined);
  return sameShape(inputs, shape.slice(1));
}

/**
 * Returns the network whose parameters a file holds: the one that shares the most names and shapes.
 * If the shapes of a network with the same names are wrong, loading will say which.
 *
 * @throws {FileError} When no network has at least half of the file's names.
 */
export function recognize(file: WeightsFile): NetworkName {
  const weights = [...file.entries.values()].filter(isWeight);
  let best: NetworkName | undefined, most = 0.5;
  for (const name of weights.length > maxWeights ? [] : networkNames) {
    const signature = signatureOf(name), { shapes } = signature;
    const parameterName = networks.get(name)!.parameterName ?? ((key: string) => key);
    let names = 0, same = 0, unused = 0;
    for (const entry of weights) {
      const key = parameterName(entry.name), shape = key === undefined ? [] : shapes.get(key);
      if (key === undefined) unused++;
      else if (shape) {
        names++;
        if (fits(signature, key, shape, entry.shape)) same++;
      }
    }
    if (same === shapes.size && same + unused === weights.length) return name;
    const total = shapes.size + weights.length - unused - names;
    // A network with the same shapes wins over one with the same names only.
    const score = names / total + same / (1000 * total);
    if (score > most) [best, most] = [name, score];
  }
  if (best) return best;
  const advice = parametrization(file) ?? "pass `model`, or export the network as ONNX";
  throw new FileError(file.name, `${contents(file)}, which no known network has: ${advice}`);
}

/** The tensors of a file, in a few words. */
function contents({ entries }: WeightsFile): string {
  const list = [...entries.values()],
    show = (i: number) => {
      const { name, shape } = list.at(i)!;
      return `${escapeText(name)} ${formatShape(shape)}`;
    };
  if (list.length === 0) return "holds no tensors";
  if (list.length === 1) return `holds the tensor ${show(0)}`;
  return `holds ${list.length} tensors from ${show(0)} to ${show(-1)}`;
}

/**
 * Returns the number of classes of a network's weights: the outputs of the last layer. Undefined if
 * the file does not have that layer in a shape that fits.
 */
export function classCount(file: WeightsFile, name: NetworkName): number | undefined {
  const signature = signatureOf(name), key = `${signature.lastLayer}weight`;
  const expected = signature.shapes.get(key), shape = file.entries.get(key)?.shape;
  if (!expected || !shape || shape.length < 2) return undefined;
  const [count] = shape;
  return fits(signature, key, expected, shape) && count >= 1 && count <= maxClasses
    ? count
    : undefined;
}

/** Caffe's preprocessing for files of Deep Compression. Undefined for files that use their network's. */
export function preprocessingOf(file: WeightsFile): Preprocessing | undefined {
  return file.format === "deep-compression" ? caffe227Preprocessing : undefined;
}

/**
 * Describes the network whose weights a file holds. Undefined if the file does not have exactly the
 * parameters of a known network.
 */
export function describeWeights(file: WeightsFile): Description | undefined {
  try {
    const architecture = recognize(file);
    const numClasses = classCount(file, architecture);
    using model = createModel(architecture, { numClasses, preprocessing: preprocessingOf(file) });
    matchHead(model, file);
    checkWeights(model.mapWeights(file), parameterShapes(model), model.type);
    const { classes, preprocessing, hasLinearHead } = model;
    return { architecture, classes, preprocessing, ...(hasLinearHead && { head: "linear" }) };
  } catch (error) {
    if (error instanceof FileError) return undefined;
    throw error;
  }
}
