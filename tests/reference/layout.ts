import { type NumArray, type NumArray64, zeros } from "./array.ts";

type Index = readonly number[];

/** Calls `visit` with the index of each element of a shape, in row-major order. */
function forEachIndex(shape: Index, visit: (index: number[], at: number) => void): void {
  const index = shape.map(() => 0), size = shape.reduce((product, n) => product * n, 1);
  for (let at = 0; at < size; at++) {
    visit(index, at);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) {
      index[axis] = 0;
    }
  }
}

/** The place of an index in row-major order, or −1 outside of the shape. */
function placeOf(shape: Index, index: Index): number {
  let place = 0;
  for (const [axis, i] of index.entries()) {
    if (i < 0 || i >= shape[axis]) return -1;
    place = place * shape[axis] + i;
  }
  return place;
}

/** y[index] = x[source(index)], or `value` where that lies outside of x. */
function read(x: NumArray, shape: Index, source: (index: Index) => Index, value = 0): NumArray64 {
  const y = zeros(shape);
  forEachIndex(shape, (index, at) => {
    const place = placeOf(x.shape, source(index));
    y.data[at] = place < 0 ? value : x.data[place];
  });
  return y;
}

/** The transpose of {@linkcode read}: dx[source(index)] += dy[index]. */
function addBack(dy: NumArray, inputShape: Index, source: (index: Index) => Index): NumArray64 {
  const dx = zeros(inputShape);
  forEachIndex(dy.shape, (index, at) => {
    const place = placeOf(inputShape, source(index));
    if (place >= 0) dx.data[place] += dy.data[at];
  });
  return dx;
}

/** Joins arrays along an axis. */
export function cat(inputs: readonly NumArray[], axis: number): NumArray64 {
  const sizes = inputs.map(({ shape }) => shape[axis]);
  const y = zeros(inputs[0].shape.with(axis, sizes.reduce((sum, size) => sum + size)));
  forEachIndex(y.shape, (index, at) => {
    let i = 0, position = index[axis];
    while (position >= sizes[i]) position -= sizes[i++];
    const { shape, data } = inputs[i];
    y.data[at] = data[placeOf(shape, index.with(axis, position))];
  });
  return y;
}

/** x[start:end:step] along an axis. */
export interface Range {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

const sliceSource = ({ axis, start, step }: Range) => (index: Index) =>
  index.with(axis, start + index[axis] * step);

export function slice(x: NumArray, range: Range): NumArray64 {
  const size = Math.ceil((range.end - range.start) / range.step);
  return read(x, x.shape.with(range.axis, size), sliceSource(range));
}

export function sliceBackward(dy: NumArray, inputShape: Index, range: Range): NumArray64 {
  return addBack(dy, inputShape, sliceSource(range));
}

const permuteSource = (dims: Index) => (index: Index) => {
  const source = dims.map(() => 0);
  dims.forEach((axis, i) => source[axis] = index[i]);
  return source;
};

/** y has the sizes of x in the order `dims`. */
export function permute(x: NumArray, dims: Index): NumArray64 {
  return read(x, dims.map((axis) => x.shape[axis]), permuteSource(dims));
}

export function permuteBackward(dy: NumArray, inputShape: Index, dims: Index): NumArray64 {
  return addBack(dy, inputShape, permuteSource(dims));
}

const shuffleSource = (channels: number, groups: number) => (index: Index) => {
  const c = index[1], each = channels / groups;
  return index.with(1, c % groups * each + Math.floor(c / groups));
};

/** Channel c of y is channel ⌊c / groups⌋ of group c mod groups. */
export function channelShuffle(x: NumArray, groups: number): NumArray64 {
  return read(x, x.shape, shuffleSource(x.shape[1], groups));
}

export function channelShuffleBackward(dy: NumArray, groups: number): NumArray64 {
  return addBack(dy, dy.shape, shuffleSource(dy.shape[1], groups));
}

/** The sides of an axis: padding is [before, after] of each axis, the last axis first. */
function sideOf(padding: Index, rank: number, axis: number, side: 0 | 1): number {
  return padding[2 * (rank - 1 - axis) + side] ?? 0;
}

const padSource = (padding: Index, rank: number) => (index: Index) =>
  index.map((i, axis) => i - sideOf(padding, rank, axis, 0));

/** Adds elements of one value; negative padding crops. */
export function pad(x: NumArray, padding: Index, value = 0): NumArray64 {
  const rank = x.shape.length;
  const shape = x.shape.map((size, axis) =>
    size + sideOf(padding, rank, axis, 0) + sideOf(padding, rank, axis, 1)
  );
  return read(x, shape, padSource(padding, rank), value);
}

export function padBackward(dy: NumArray, inputShape: Index, padding: Index): NumArray64 {
  return addBack(dy, inputShape, padSource(padding, inputShape.length));
}

/** The position inside of an axis that padding copies: the edge, or the mirrored position. */
function mirrored(i: number, size: number, mode: "reflect" | "replicate"): number {
  if (mode === "replicate") return i < 0 ? 0 : i >= size ? size - 1 : i;
  while (i < 0 || i >= size) i = i < 0 ? -i : 2 * (size - 1) - i;
  return i;
}

const mirrorSource =
  (padding: Index, shape: Index, mode: "reflect" | "replicate") => (index: Index) =>
    index.map((i, axis) => mirrored(i - sideOf(padding, shape.length, axis, 0), shape[axis], mode));

/** Pads with the values at the edges, or with the reflection at them. */
export function mirrorPad(
  x: NumArray,
  padding: Index,
  mode: "reflect" | "replicate",
): NumArray64 {
  return read(x, pad(x, padding).shape, mirrorSource(padding, x.shape, mode));
}

export function mirrorPadBackward(
  dy: NumArray,
  inputShape: Index,
  padding: Index,
  mode: "reflect" | "replicate",
): NumArray64 {
  return addBack(dy, inputShape, mirrorSource(padding, inputShape, mode));
}
