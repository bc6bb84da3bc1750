/** The operations of conformance_test.ts that move, resample and normalise values. */

import * as ops from "../../src/ops/mod.ts";
import { elements, type Tensor, type Values } from "../../src/tensor.ts";
import type { Attributes } from "../cases.ts";

/** The inputs of a case. Each operation uses some of them. */
export type Inputs = Readonly<Record<"x" | "w" | "b" | "mean" | "var" | "dy", Tensor>>;

/** The results of an operation. */
export type Outputs = Readonly<Record<string, Tensor<Values>>>;

type Operations = Record<string, (t: Inputs, attrs: Partial<Attributes>) => Outputs>;

/** Results and gradients by the names of operations in the cases. */
export const spatialOperations: { readonly forward: Operations; readonly gradients: Operations } = {
  forward: {
    cat: ({ x, w, b }, a) => ({ y: ops.cat([x, w, b], a.axis) }),
    slice: ({ x }, a) => ({ y: ops.slice(x, a.axis!, a.start!, a.end, { step: a.step }) }),
    permute: ({ x }, a) => ({ y: ops.permute(x, a.dims!) }),
    channelshuffle: ({ x }, a) => ({ y: ops.channelShuffle(x, a.groups!) }),
    pad: ({ x }, { pads, mode, value }) => ({
      y: ops.pad(x, pads!, { mode: mode as ops.PadMode, value }),
    }),
    layernorm: ({ x, w, b }, { shape, eps }) => ({
      y: ops.layerNorm(x, shape!, { weight: w, bias: b, eps }),
    }),
    groupnorm: ({ x, w, b }, { groups, eps }) => ({
      y: ops.groupNorm(x, groups!, { weight: w, bias: b, eps }),
    }),
    convtranspose1d: ({ x, w, b }, a) => ({
      y: ops.convTranspose1d(x, w, b ?? null, transposeOptions(a)),
    }),
    convtranspose2d: ({ x, w, b }, a) => ({
      y: ops.convTranspose2d(x, w, b ?? null, transposeOptions(a)),
    }),
    interpolate: ({ x }, a) => ({ y: ops.interpolate(x, interpolateOptions(a)) }),
    adaptivemaxpool2d: ({ x }, a) => {
      const size = a.outputSize as [number, number];
      const { output, indices } = ops.adaptiveMaxPool2dWithIndices(x, size);
      return { y: output, indices };
    },
  },
  gradients: {
    cat: ({ x, w, b, dy }, { axis }) => {
      const [first, second] = [x, w].map(({ shape }) => shape.at(axis!)!);
      return {
        dx: ops.slice(dy, axis!, 0, first),
        dw: ops.slice(dy, axis!, first, first + second),
        db: ops.slice(dy, axis!, -b.shape.at(axis!)!),
      };
    },
    slice: ({ x, dy }, a) => ({
      dx: ops.sliceBackward(dy, x.shape, a.axis!, a.start!, a.end, { step: a.step }),
    }),
    permute: ({ dy }, a) => ({ dx: ops.permute(dy, ops.inversePermutation(a.dims!)) }),
    channelshuffle: ({ x, dy }, a) => ({
      dx: ops.channelShuffle(dy, x.shape[1] / a.groups!),
    }),
    pad: ({ x, dy }, { pads, mode }) => ({
      dx: ops.padBackward(dy, x.shape, pads!, { mode: mode as ops.PadMode }),
    }),
    layernorm: ({ x, w, dy }, { shape, eps }) =>
      rowNormGradients(
        x.size / elements(shape!),
        x,
        w,
        (statistics) => ops.layerNorm(x, shape!, { eps, statistics }),
        (statistics, options) => ops.layerNormBackward(dy, x, statistics, shape!, options),
      ),
    groupnorm: ({ x, w, dy }, { groups, eps }) =>
      rowNormGradients(
        x.shape[0] * groups!,
        x,
        w,
        (statistics) => ops.groupNorm(x, groups!, { eps, statistics }),
        (statistics, options) => ops.groupNormBackward(dy, x, statistics, groups!, options),
      ),
    convtranspose1d: convTransposeGradients,
    convtranspose2d: convTransposeGradients,
    interpolate: ({ x, dy }, a) => ({
      dx: ops.interpolateBackward(dy, x.shape, interpolateOptions(a)),
    }),
    adaptivemaxpool2d: ({ x, dy }, a) => {
      const size = a.outputSize as [number, number];
      const { output, indices } = ops.adaptiveMaxPool2dWithIndices(x, size);
      using _output = output, _indices = indices;
      return { dx: ops.maxPoolBackward(dy, indices, x.shape) };
    },
  },
};

function interpolateOptions(a: Partial<Attributes>): ops.InterpolateOptions {
  const { outputSize: size, scales: scaleFactor, alignCorners, recomputeScaleFactor } = a;
  const mode = a.mode as ops.InterpolateOptions["mode"];
  return { size, scaleFactor, mode, alignCorners, recomputeScaleFactor };
}

function transposeOptions(a: Partial<Attributes>): ops.ConvTransposeOptions {
  const { stride, pads: padding, outputPadding, dilation, groups } = a;
  return { stride, padding, outputPadding, dilation, groups };
}

function convTransposeGradients({ x, w, dy }: Inputs, a: Partial<Attributes>): Outputs {
  return {
    dx: ops.convTransposeBackwardInput(dy, w, x.shape, transposeOptions(a)),
    dw: ops.convTransposeBackwardWeight(dy, x, w.shape, transposeOptions(a)),
    db: ops.biasBackward(dy),
  };
}

type Statistics = Parameters<typeof ops.layerNormBackward>[2];
type GradientOptions = Parameters<typeof ops.layerNormBackward>[4];

/** The gradients of a normalisation of so many rows. */
function rowNormGradients(
  rows: number,
  x: Tensor,
  weight: Tensor | undefined,
  forward: (statistics: Statistics) => Tensor,
  backward: (statistics: Statistics, options: GradientOptions) => Tensor,
): Outputs {
  const { backend } = x;
  using mean = backend.empty([rows]), rstd = backend.empty([rows]);
  forward({ mean, rstd }).dispose();
  if (!weight) return { dx: backward({ mean, rstd }, {}) };
  const [dw, db] = [0, 1].map(() => backend.upload(Array(weight.size).fill(0), weight.shape));
  return { dx: backward({ mean, rstd }, { weight, dweight: dw, dbias: db }), dw, db };
}
