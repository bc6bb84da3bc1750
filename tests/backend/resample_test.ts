/** Interpolation, and padding with values of the plane. */

import type { Backend } from "../../src/backend/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import { type InterpolateOptions, interpolation } from "../../src/ops/interpolate.ts";
import { tapsAt, transposedTaps } from "../../src/ops/taps.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, type Floats, floats, largest } from "./harness.ts";

type Size = readonly [number, number];

/** Checks an interpolation and its gradient. */
async function checkInterpolation(
  backend: Backend,
  x: Floats,
  o: reference.Interpolation,
): Promise<void> {
  const { mode, alignCorners, scale } = o, name = `[${x.shape}] ${JSON.stringify(o)}`;
  const size = scale ? { scaleFactor: scale } : { size: o.size };
  const options = { ...size, mode, alignCorners };
  const expected = reference.interpolate(x, o);
  const y = await compute(
    backend,
    [x],
    expected.shape,
    (out, x) => ops.interpolate(x, { ...options, out }),
  );
  // positions in float32 are right to 2⁻²³ of the size, and values change by 2 between two
  const abs = 2 ** -21 * (1 + Math.max(x.shape[2], x.shape[3]));
  assertAllClose(y, expected.data, { abs, name });
  const dy = new Draw(9).floats(expected.shape);
  const dx = reference.interpolateBackward(dy, x.shape, o);
  const gradient = await compute(
    backend,
    [dy],
    x.shape,
    (out, dy) => ops.interpolateBackward(dy, x.shape, { ...options, out }),
  );
  const most = largest(dx);
  assertAllClose(gradient, dx.data, { abs: abs * Math.max(1, most), name: `${name} dx` });
}

const sizes: [input: Size, output: Size][] = [
  [[1, 1], [3, 5]],
  [[3, 4], [6, 8]],
  [[3, 4], [3, 4]],
  [[5, 7], [2, 3]],
  [[4, 17], [9, 5]],
  [[2, 33], [4, 66]],
  [[13, 9], [1, 1]],
];

testOnEveryBackend("interpolate() and its gradient take every size and mode", async (backend) => {
  const draw = new Draw(1);
  for (const [[h, w], size] of sizes) {
    const x = draw.floats([2, 3, h, w]);
    await checkInterpolation(backend, x, { size, mode: "nearest" });
    await checkInterpolation(backend, x, { size, mode: "nearest-exact" });
    await checkInterpolation(backend, x, { size, mode: "bilinear" });
    await checkInterpolation(backend, x, { size, mode: "bilinear", alignCorners: true });
  }
});

testOnEveryBackend("interpolate() computes positions from the scale factor", async (backend) => {
  const x = new Draw(2).floats([1, 2, 7, 9]);
  for (const scale of [[1.5, 2.75], [0.625, 0.875], [3, 0.3125]] as const) {
    const size = [Math.floor(7 * scale[0]), Math.floor(9 * scale[1])] as const;
    await checkInterpolation(backend, x, { size, scale, mode: "bilinear" });
    await checkInterpolation(backend, x, { size, scale, mode: "nearest" });
  }
});

testOnEveryBackend("interpolate() takes rows longer than the work of a thread", async (backend) => {
  const x = new Draw(3).floats([1, 1, 2, 16390]);
  await checkInterpolation(backend, x, { size: [3, 2], mode: "nearest" });
  await checkInterpolation(backend, x, { size: [4, 16391], mode: "bilinear" });
});

testOnEveryBackend(
  "interpolate() keeps bits, NaN and infinity where it only copies",
  async (backend) => {
    const x = floats([1, 1, 2, 4], [NaN, -0, Infinity, -Infinity, 1e-45, 3e38, 1, 2]);
    for (const options of [{ scaleFactor: 2 }, { size: 3, mode: "nearest-exact" as const }]) {
      const size = "size" in options ? [3, 3] as const : [4, 8] as const;
      const expected = reference.interpolate(x, { size, mode: options.mode ?? "nearest" });
      const y = await compute(
        backend,
        [x],
        expected.shape,
        (out, x) => ops.interpolate(x, { ...options, out }),
      );
      assertAllClose(y, Float32Array.from(expected.data));
    }
    // the corners meet, so no other value counts there
    const run = (out: Parameters<typeof ops.interpolate>[0], x: typeof out) =>
      ops.interpolate(x, { size: [2, 7], mode: "bilinear", alignCorners: true, out });
    const y = await compute(backend, [x], [1, 1, 2, 7], run);
    assertEquals([...y.slice(0, 7)], [NaN, NaN, 0, Infinity, Infinity, NaN, -Infinity]);
  },
);

const paddings: [shape: number[], padding: number[]][] = [
  [[2, 3, 5], [2, 4]],
  [[1, 2, 4, 5], [3, 1, 0, 2]],
  [[1, 2, 4, 5], [-1, 2, 1, -2]],
  [[2, 1, 3, 21], [20, 3, 2, 2]],
];

testOnEveryBackend(
  "pad() reflects and repeats edges, and so does its gradient",
  async (backend) => {
    const draw = new Draw(4);
    for (const [shape, padding] of paddings) {
      for (const mode of ["reflect", "replicate"] as const) {
        const x = draw.floats(shape), name = `[${shape}] ${padding} ${mode}`;
        const expected = reference.mirrorPad(x, padding, mode);
        const y = await compute(
          backend,
          [x],
          expected.shape,
          (out, x) => ops.pad(x, padding, { mode, out }),
        );
        assertEquals(bits(y), bits(Float32Array.from(expected.data)), name);
        const dy = draw.floats(expected.shape);
        const dx = await compute(
          backend,
          [dy],
          shape,
          (out, dy) => ops.padBackward(dy, shape, padding, { mode, out }),
        );
        const gradient = reference.mirrorPadBackward(dy, shape, padding, mode);
        assertAllClose(dx, gradient.data, { abs: 2 ** -18, name });
      }
    }
  },
);

/** The positions of an axis of 4 that an interpolation reads, and the weight of the second one of each. */
function positionsOf(options: Omit<InterpolateOptions, "size">, size: number): number[] {
  const [taps] = interpolation("test", [1, 1, 4], { ...options, size }).taps();
  const { starts, positions, weights } = taps;
  return Array.from({ length: size }, (_, i) => {
    const second = starts[i + 1] - starts[i] === 2 ? weights[starts[i] + 1] : 0;
    return positions[starts[i]] + second;
  });
}

Deno.test("positions follow the formulas of PyTorch's interpolate()", () => {
  const linear = { mode: "linear" } as const, aligned = { ...linear, alignCorners: true };
  assertEquals(positionsOf({ mode: "nearest" }, 8), [0, 0, 1, 1, 2, 2, 3, 3]);
  assertEquals(positionsOf({ mode: "nearest" }, 3), [0, 1, 2]);
  assertEquals(positionsOf({ mode: "nearest-exact" }, 3), [0, 2, 3]);
  assertEquals(positionsOf(linear, 8), [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]);
  assertEquals(positionsOf(aligned, 7), [0, 0.5, 1, 1.5, 2, 2.5, 3]);
  assertEquals([positionsOf(linear, 1), positionsOf(aligned, 1)], [[1.5], [0]]);
});

Deno.test("transposed taps list the outputs of each input, some of which have none", () => {
  const taps = transposedTaps(tapsAt(4, 3, (i) => i + 0.25));
  assertEquals(taps.size, 3);
  assertEquals([...taps.starts], [0, 1, 3, 5, 6]);
  assertEquals([...taps.positions], [0, 0, 1, 1, 2, 2]);
  assertEquals([...taps.weights], [0.75, 0.25, 0.75, 0.25, 0.75, 0.25]);
  assertEquals([...transposedTaps(tapsAt(3, 1, () => 2)).starts], [0, 0, 0, 1]);
});
