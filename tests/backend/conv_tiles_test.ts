import type { Backend } from "../../src/backend/mod.ts";
import { WebGpuBackend } from "../../src/backend/webgpu.ts";
import { conv2d } from "../../src/ops/mod.ts";
import { assertAllClose } from "../assert.ts";
import { testOnFewBackends } from "../backends.ts";
import * as reference from "../reference.ts";
import { gpuInfo, overrideAdapterInfo, testWithAdapter } from "../webgpu.ts";
import { compute, Draw, sumTolerance } from "./harness.ts";

/** Output channels at the edges of the tiles, which have 16, 32 or 64 rows. */
const channels = [15, 16, 17, 31, 32, 33, 48, 63, 64, 65];

/** Windows with the size of their input. The outputs need more than four tiles. */
const windows = {
  "1×1 on planes of whole vectors": { kernel: 1, h: 18, w: 22 },
  "1×1 on planes of an odd size": { kernel: 1, h: 19, w: 21 },
  "3×3": { kernel: 3, h: 19, w: 17, padding: [1, 1, 1, 1] },
  "2×3 with stride and dilation": {
    kernel: [2, 3],
    h: 41,
    w: 38,
    stride: [2, 1],
    padding: [0, 2, 1, 3],
    dilation: [1, 2],
  },
} as const;

for (const [name, { kernel, h, w, ...options }] of Object.entries(windows)) {
  const fillTiles = async (backend: Backend) => {
    const draw = new Draw(7), [kh, kw = kh] = [kernel].flat();
    for (const [i, m] of channels.entries()) {
      // 17 and 33 channels are those of a group
      const groups = m % 16 === 1 ? 2 : 1, n = m === 16 ? 2 : 1;
      const x = draw.floats([n, 3 * groups, h, w]), weight = draw.floats([m * groups, 3, kh, kw]);
      x.data.fill(0, 5, 30);
      x.data[x.data.length - 1] = NaN;
      const bias = i % 2 === 0 ? draw.floats([m * groups]) : null;
      const activation = i % 3 === 0 ? "relu" : undefined;
      const plain = reference.conv2d(x, weight, bias, { ...options, groups });
      const residual = draw.floats(plain.shape);
      const sums = plain.data.map((v, i) => v + residual.data[i]);
      const all = { shape: plain.shape, data: sums };
      const expected = activation ? reference.relu(all).data : sums;
      const run = (out?: typeof residual) =>
        compute(
          backend,
          [x, weight, bias, residual],
          plain.shape,
          (y, x, weight, bias, residual) =>
            conv2d(x, weight, bias, {
              ...options,
              groups,
              activation,
              residual: out ? y : residual,
              out: y,
            }),
          out,
        );
      const tolerance = { ...sumTolerance(3 * kh * kw + 2, x, weight), name: `${m} channels` };
      assertAllClose(await run(), expected, tolerance);
      assertAllClose(await run(residual), expected, tolerance);
    }
  };
  testOnFewBackends(`conv2d() fills all tiles: ${name}`, fillTiles);
  testWithAdapter(`conv2d() fills all tiles: ${name} (the tiles of a GPU)`, async () => {
    using _info = overrideAdapterInfo(gpuInfo);
    using backend = await WebGpuBackend.create();
    await fillTiles(backend);
  });
}
