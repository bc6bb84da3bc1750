/** Options of layers, or of other operations, which an operation would ignore. */

import { ArgumentError } from "../../src/errors.ts";
import { ConvTranspose2d, Upsample } from "../../src/layers/mod.ts";
import { checkOptions } from "../../src/options.ts";
import * as ops from "../../src/ops/mod.ts";
import { assertThrows } from "../assert.ts";
import { fakeTensor } from "./fake_tensor.ts";

const x = fakeTensor([2, 4, 6, 5]), w = fakeTensor([8, 4, 3, 3]), y = fakeTensor([2, 8, 4, 3]);
const row = fakeTensor([2, 4, 9]), rowW = fakeTensor([8, 4, 3]), rowY = fakeTensor([2, 8, 7]);
const wider = fakeTensor([2, 8, 6, 5]), t = fakeTensor([4, 8, 3, 3]), rowT = fakeTensor([4, 8, 3]);

const ofLayers = { bias: true, keepPacked: false, precision: "int8" };
const ofForward = { activation: "relu", residual: y };
const ofAverages = { countIncludePad: false, divisorOverride: 3 };

type Options = Record<string, unknown>;

/** Calls that take options, and the options that they must refuse. */
const calls: Record<string, [call: (options: never) => unknown, refused: Options]> = {
  conv2d: [(o) => ops.conv2d(x, w, null, o), { ...ofLayers, into: w }],
  conv1d: [(o) => ops.conv1d(row, rowW, null, o), { ...ofLayers, algorithm: "direct" }],
  conv2dBackwardInput: [
    (o) => ops.conv2dBackwardInput(y, w, x.shape, o),
    { ...ofLayers, ...ofForward, into: w },
  ],
  conv2dBackwardWeight: [
    (o) => ops.conv2dBackwardWeight(y, x, w.shape, o),
    { ...ofLayers, ...ofForward, out: w },
  ],
  conv1dBackwardInput: [
    (o) => ops.conv1dBackwardInput(rowY, rowW, row.shape, o),
    { ...ofLayers, ...ofForward, algorithm: "direct" },
  ],
  conv1dBackwardWeight: [
    (o) => ops.conv1dBackwardWeight(rowY, row, rowW.shape, o),
    { ...ofLayers, ...ofForward, algorithm: "direct" },
  ],
  convTranspose2d: [
    (o) => ops.convTranspose2d(x, t, null, o),
    { ...ofLayers, ...ofForward, algorithm: "direct" },
  ],
  convTranspose1d: [(o) => ops.convTranspose1d(row, rowT, null, o), { ...ofLayers, ...ofForward }],
  convTransposeBackwardInput: [
    (o) => ops.convTransposeBackwardInput(wider, t, x.shape, o),
    { ...ofLayers, into: x },
  ],
  convTransposeBackwardWeight: [
    (o) => ops.convTransposeBackwardWeight(wider, x, t.shape, o),
    { ...ofLayers, out: x },
  ],
  maxPool2d: [(o) => ops.maxPool2d(x, o), ofAverages],
  maxPool1d: [(o) => ops.maxPool1d(row, o), ofAverages],
  maxPool2dWithIndices: [(o) => ops.maxPool2dWithIndices(x, o), ofAverages],
  maxPool1dWithIndices: [(o) => ops.maxPool1dWithIndices(row, o), ofAverages],
  avgPool2d: [(o) => ops.avgPool2d(x, o), { outputSize: 2, mode: "max" }],
  avgPool2dBackward: [(o) => ops.avgPool2dBackward(x, x.shape, o), { outputSize: 2, into: x }],
  interpolate: [(o) => ops.interpolate(x, o), { dtype: "float32", into: x }],
  Upsample: [(o) => new Upsample(o), { out: x }],
  ConvTranspose2d: [
    (o) => new ConvTranspose2d(4, 8, 3, o),
    { out: x, algorithm: "direct", keepPacked: true, precision: "int8" },
  ],
};

Deno.test("operations refuse the options of layers and of other operations", () => {
  for (const [op, [call, refused]] of Object.entries(calls)) {
    for (const [name, value] of Object.entries(refused)) {
      const options = { kernelSize: op.includes("Pool") ? 2 : undefined, [name]: value };
      const message = `${op}: an option is "${name}", must be one of: `;
      assertThrows(() => call(options as never), ArgumentError, message);
    }
  }
});

Deno.test("TypeScript compares the names of options with their type", () => {
  const options: { readonly lr?: number; readonly momentum?: number } = { momentum: 1 };
  checkOptions("f", options, ["momentum", "lr"]);
  // @ts-expect-error: a name is missing
  assertThrows(() => checkOptions("f", options, ["lr"]), ArgumentError, '"momentum"');
  // @ts-expect-error: a name is misspelt
  assertThrows(() => checkOptions("f", options, ["momentun", "lr"]), ArgumentError, '"momentum"');
});
