/**
 * Weights that PyTorch computes from other tensors, which it saves in their place: by weight
 * normalisation (Salimans and Kingma 2016), spectral normalisation (Miyato et al. 2018) and pruning.
 *
 * Source: PyTorch, `weight_norm.py`, `spectral_norm.py`, `prune.py` and `parametrizations.py` in
 * `torch/nn/utils`.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { elements, sameShape, type Shape } from "../../tensor.ts";
import { escapeText } from "../io/quote.ts";
import { renameTensors } from "../match_names.ts";
import { isWeight, type WeightsFile } from "../tensor_file.ts";

/** A weight that is computed from tensors of a file. */
interface Computed {
  /** The names of the tensors. The first one has the shape of the weight. */
  readonly parts: readonly string[];
  /** Replaces the values of the first tensor by those of the weight. Or returns why it cannot. */
  readonly compute: (
    values: Float32Array,
    ...others: readonly Float32Array[]
  ) => string | undefined | void;
}

/** A weight in a file. */
interface ComputedWeight extends Computed {
  /** The names of the tensors in the order of the file, in which a stream must be read. */
  readonly inOrder: readonly string[];
}

/** Finds the shape of a tensor by the end of its name. Undefined if it is missing or no weight. */
type ShapeOf = (end: string) => Shape | undefined;

/** The name of the first tensor of a weight, which may be a part of another weight itself. */
const stored =
  /^(|.*?\.)(parametrizations\.)?(weight(?:_orig|_[vg])?|bias|parametrizations\.weight\.original[01]?)(_orig|_g|\.original0?)$/;

/** Values that a view passes on at once. */
const chunkSize = 1 << 16;

/**
 * A view of a file with the computed weights in place of the tensors that they are computed from, as in
 * evaluation mode: of the last of them, because a stream has all of them there. Others are left as they
 * are. Closing the view closes the file.
 */
export function withComputedWeights(file: WeightsFile): WeightsFile {
  const view = withWeightsOf(file);
  return view === file ? file : withComputedWeights(view); // of a tensor that is computed itself
}

/** A view with the weights whose tensors are all in the file. */
function withWeightsOf(file: WeightsFile): WeightsFile {
  const { entries, order } = file, weights = new Map<string, ComputedWeight>();
  const places = new Map(order.map((name, place) => [name, place]));
  const names = new Map<string, string | undefined>(); // of the view, by those of the file
  for (const name of order) {
    const [, path, list = "", parameter] = stored.exec(name) ?? [];
    const weight = `${path}${parameter}`, stem = `${path}${list}${parameter}`;
    if (parameter === undefined || weights.has(weight) || entries.has(weight)) continue;
    const computed = computedFrom(stem, (end) => {
      const entry = entries.get(stem + end);
      return entry && isWeight(entry) ? entry.shape : undefined;
    });
    if (!computed) continue;
    const inOrder = [...computed.parts].sort((a, b) => places.get(a)! - places.get(b)!);
    weights.set(weight, { ...computed, inOrder });
    inOrder.forEach((part) => names.set(part, part === inOrder.at(-1) ? weight : undefined));
  }
  if (weights.size === 0) return file;
  const view = renameTensors(file, (name) => names.has(name) ? names.get(name) : name);
  const described = [...view.entries].map(([name, entry]) => {
    const computed = weights.get(name);
    return [name, computed ? { ...entries.get(computed.parts[0])!, name } : entry] as const;
  });
  return {
    ...view,
    entries: new Map(described),
    async read(name, sink, integerSink) {
      const computed = weights.get(name);
      if (!computed) return await view.read(name, sink, integerSink);
      const { parts, inOrder, compute } = computed, values = new Map<string, Float32Array>();
      for (const part of inOrder) values.set(part, await readWhole(file, part));
      const [result, ...others] = parts.map((part) => values.get(part)!);
      const problem = compute(result, ...others);
      if (problem) throw new FileError(file.name, `${escapeText(name)} ${problem}`);
      for (let at = 0; at < result.length; at += chunkSize) {
        sink(result.subarray(at, at + chunkSize), at);
      }
    },
  };
}

/**
 * How a weight is computed from the tensors whose names start with `stem`. Undefined unless these are
 * the tensors of one method.
 */
function computedFrom(stem: string, shapeOf: ShapeOf): Computed | undefined {
  const found = methods.flatMap(([ends, method]) => {
    const shapes = ends.map(shapeOf);
    const compute = shapes.includes(undefined) ? undefined : method(...shapes as Shape[]);
    return compute ? [{ parts: ends.map((end) => stem + end), compute }] : [];
  });
  return found.length === 1 ? found[0] : undefined;
}

/** Returns how a weight is computed from tensors of these shapes. Undefined if they do not fit. */
type Method = (...shapes: Shape[]) => Computed["compute"] | undefined;

/** The ends of the names of the tensors that each method stores. */
const methods: readonly (readonly [ends: readonly string[], method: Method])[] = [
  [["_v", "_g"], normalised],
  [[".original1", ".original0"], normalised],
  [["_orig", "_u", "_v"], spectral],
  [[".original", ".0._u", ".0._v"], spectral],
  [["_orig", "_mask"], pruned],
];

/** g · v / ‖v‖, with a norm for each index of one axis, or a single one. */
function normalised(shape: Shape, normShape: Shape): Computed["compute"] | undefined {
  const axis = normShape.findIndex((size) => size !== 1), count = axis < 0 ? 1 : shape[axis];
  const isSingle = axis < 0 && [0, shape.length].includes(normShape.length);
  const kept = shape.map((size, i) => i === axis ? size : 1);
  if (!isSingle && !sameShape(normShape, kept)) return undefined;
  const inner = axis < 0 ? elements(shape) : elements(shape.slice(axis + 1));
  return (values, norms) => {
    const sums = new Float64Array(count), indexOf = (i: number) => Math.floor(i / inner) % count;
    values.forEach((value, i) => sums[indexOf(i)] += value * value);
    const factors = sums.map((sum, i) => norms[i] / Math.sqrt(sum));
    values.forEach((value, i) => values[i] = value * factors[indexOf(i)]);
  };
}

/**
 * W / uᵀWv. The rows of W are the indices of its first axis; for transposed convolutions, of its second. If
 * the sizes fit both, it is the one of whose W PyTorch has computed u or v.
 */
function spectral(
  shape: Shape,
  [rows, ...more]: Shape,
  right: Shape,
): Computed["compute"] | undefined {
  const count = elements(shape);
  const axes = [0, 1].filter((axis) => shape.length > 1 && shape[axis] === rows);
  if (axes.length === 0 || more.length > 0 || !sameShape(right, [count / rows])) return undefined;
  return (values, u, v) => {
    const found = axes.map((axis) => singularValue(values, elements(shape.slice(axis + 1)), u, v));
    const [best, other = best] = found.sort((a, b) => a.error - b.error);
    const difference = Math.abs(other.product - best.product);
    if (other.error < 4 * best.error && difference > 1e-5 * Math.abs(best.product)) {
      return "may have a spectral norm along either axis: remove the norm before you save it in PyTorch";
    }
    values.forEach((value, i) => values[i] = value / best.product);
  };
}

/**
 * uᵀWv, and how far Wv is from a multiple of u, or Wᵀu from one of v, relative to its length. PyTorch
 * computes one of the two vectors from the other.
 *
 * @param inner The number of neighbouring elements of W in one row.
 */
function singularValue(
  values: Float32Array,
  inner: number,
  u: Float32Array,
  v: Float32Array,
): { product: number; error: number } {
  const left = new Float64Array(u.length), right = new Float64Array(v.length);
  values.forEach((value, i) => {
    const outer = Math.floor(i / inner), row = outer % u.length;
    const column = Math.floor(outer / u.length) * inner + i % inner;
    left[row] += value * v[column];
    right[column] += value * u[row];
  });
  const product = left.reduce((sum, value, i) => sum + value * u[i], 0);
  const error = (vector: Float64Array, direction: Float32Array) =>
    lengthOf(vector.map((value, i) => value - product * direction[i])) / lengthOf(vector);
  return { product, error: Math.min(error(left, u), error(right, v)) };
}

function lengthOf(vector: Float64Array): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}

/** The weights that pruning keeps, and zeros. */
function pruned(shape: Shape, mask: Shape): Computed["compute"] | undefined {
  if (!sameShape(shape, mask)) return undefined;
  return (values, factors) => values.forEach((value, i) => values[i] = value * factors[i]);
}

/** All values of a tensor. */
async function readWhole(file: WeightsFile, name: string): Promise<Float32Array<ArrayBuffer>> {
  const values = new Float32Array(elements(file.entries.get(name)!.shape));
  await file.read(name, (chunk, offset) => values.set(chunk, offset));
  return values;
}
