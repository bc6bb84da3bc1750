/**
 * Resizing of planes.
 *
 * Source: https://onnx.ai/onnx/operators/onnx__Resize.html (coordinates)
 *
 * @module
 */

import type { Shape } from "../../../tensor.ts";
import { escapeText, formatShape } from "../../../weights/io/quote.ts";
import type { Operation } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import { type Activation, isOpen, probed } from "../values.ts";
import {
  coordinates,
  cubic,
  linear,
  Resize,
  type ResizedAxis,
  type ResizeMode,
  roundings,
  scaledSize,
} from "../resize_layer.ts";

/** Resize, and Upsample before opset 10. */
export const resize: Operation = (node, build) => {
  const x = node.activation(0), { shape } = x, mode = readMode(node);
  node.number("extrapolation_value", 0);
  node.expect("keep_aspect_ratio_policy", "stretch");
  const { target, like } = readTarget(node, shape);
  const isSame = target.every(({ out, scale }, axis) =>
    out === shape[axis] && (scale === 1 || scale === undefined && !isOpen(x, axis))
  );
  if (isSame && !like) return x;
  const [batch, channels, ...plane] = target;
  if (target.slice(0, 2).some(({ scale = 1 }) => scale !== 1)) { // even if the size stays
    throw node.bad("its scales of the batch and the channels are not 1: not supported");
  }
  const isConstant = batch.out === 1 && !node.scope.isBatchFixed; // with a value for each sample
  const keeps = (isConstant || batch.out === shape[0]) && channels?.out === shape[1];
  if (!keeps || plane.length < 1 || plane.length > 2) {
    const sizes = formatShape(target.map(({ out }) => out));
    throw node.bad(`${formatShape(shape)} to ${sizes} is not supported: only planes are resized`);
  }
  return build.apply(node, new Resize(plane, mode), like ? [x, like] : [x]);
};

/** Reads how positions are computed. */
function readMode(node: NodeReader): ResizeMode {
  const isOld = node.opset < 11, mode = node.text("mode", "nearest");
  const usual = isOld ? "asymmetric" : "half_pixel";
  const name = node.text("coordinate_transformation_mode", usual), at = coordinates.get(name);
  const nearest = node.text("nearest_mode", isOld ? "floor" : "round_prefer_floor");
  const isCubic = mode === "cubic", a = node.number("cubic_coeff_a", -0.75);
  const filter = {
    antialias: node.number("antialias", 0) !== 0,
    excludesOutside: node.number("exclude_outside", 0) !== 0,
    ...(isCubic ? { weight: cubic(a), radius: 2 } : { weight: linear, radius: 1 }),
  };
  const isFiltered = isCubic || /^(bi)?linear$/.test(mode); // "bilinear" before opset 9
  const rounding = isFiltered ? filter : mode === "nearest" ? roundings.get(nearest) : undefined;
  if (at && rounding) return { coordinates: at, rounding };
  const how = [mode, name, nearest].map(escapeText).join(", ");
  throw node.bad(`the mode ${how} is not supported`);
}

/** What a value is resized to. */
interface Target {
  readonly target: readonly ResizedAxis[];
  /** A value with planes of this size, also in images of other sizes. */
  readonly like?: Activation;
}

/** Reads the scales or sizes, which are inputs 2 and 3 since opset 11, and for some axes since 18. */
function readTarget(node: NodeReader, shape: Shape): Target {
  const isNew = node.opset >= 11, at = isNew ? 2 : 1;
  const axes = (node.list("axes") ?? shape.map((_, axis) => axis))
    .map((axis) => node.resolveAxis(axis, shape.length));
  const scales = node.list("scales") ?? (node.has(at) ? node.numbers(at, "scales") : []);
  const hasSizes = isNew && node.has(3),
    like = hasSizes ? planeSource(node, shape, axes) : undefined;
  const sizes = like?.shape.filter((_, axis) => axes.includes(axis)) ??
    (hasSizes ? node.sizes(3, "sizes") : []);
  if ((scales.length || sizes.length) !== axes.length) {
    throw node.bad("its scales or sizes do not fit its input: damaged");
  }
  if (hasSizes && !like && node.computed(3, "sizes").isSized) node.scope.bindSize();
  const target = shape.map((out, axis) => {
    const i = axes.indexOf(axis), scale = scales[i];
    if (i < 0 || like && axis < 2) return { out, scale: 1 };
    return scale === undefined ? { out: sizes[i] } : { out: scaledSize(out, scale), scale };
  });
  return { target, like };
}

/** The value whose height and width are the sizes, unless the file fixes them. */
function planeSource(
  node: NodeReader,
  shape: Shape,
  axes: readonly number[],
): Activation | undefined {
  const { numbers: [first] = [], others, source } = node.computed(3, "sizes");
  if (!source || !first || !others) return undefined;
  const now = [...shape.slice(0, 2), ...source.shape.slice(2)], other = probed(source);
  const isPlane = axes.every((axis, i) =>
    first.numbers[i] === now[axis] && (axis < 2 || others.numbers[i] === other[axis])
  );
  return isPlane ? source : undefined;
}
