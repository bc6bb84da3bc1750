/** Which poolings are refused because a window lies in the padding alone. */

import { ArgumentError } from "../../src/errors.ts";
import { poolGeometry } from "../../src/ops/pool_geometry.ts";
import { assert, assertEquals } from "../assert.ts";
import { assertQuick } from "../quick.ts";
import { Draw } from "../backend/harness.ts";
import { pooledSize } from "../reference/pool.ts";

/** A pooling of one axis. */
interface Axis {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padding: readonly [number, number];
  readonly ceilMode: boolean;
}

/** The window that the error names; undefined if there is none. */
function refusedWindow({ size, kernel, ...options }: Axis): number | undefined {
  try {
    poolGeometry("maxPool1d", 1, [1, 1, size], { kernelSize: kernel, ...options });
  } catch (error) {
    assert(error instanceof ArgumentError && error.parameter === "padding", String(error));
    return Number(/window (\d+) along/.exec(error.message)![1]);
  }
}

/** The first window that starts in the padding and misses the input, or else the last window. */
function missedWindow({ size, kernel, stride, dilation, padding, ceilMode }: Axis) {
  const out = pooledSize(size, padding, kernel, stride, dilation, ceilMode);
  const starts = Array.from({ length: out }, (_, i) => i * stride - padding[0]);
  const misses = (start: number) =>
    !Array.from({ length: kernel }, (_, k) => start + k * dilation)
      .some((tap) => tap >= 0 && tap < size);
  const early = starts.findIndex((start) => start < 0 && misses(start));
  if (early >= 0) return early;
  return misses(starts[out - 1]) ? out - 1 : undefined;
}

Deno.test("poolings name the first window that misses the input, as a loop finds it", () => {
  const draw = new Draw(1);
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    const axis: Axis = {
      size: draw.integer(1, 12),
      kernel: draw.integer(1, 8),
      stride: draw.integer(1, 30),
      dilation: draw.pick([1, 1, 2, 3, draw.integer(1, 40)]),
      padding: [draw.integer(0, draw.pick([3, 80])), draw.integer(0, draw.pick([3, 80]))],
      ceilMode: draw.pick([true, false]),
    };
    const { size, kernel, dilation, padding: [before, after] } = axis;
    if (size + before + after < dilation * (kernel - 1) + 1) continue;
    const expected = missedWindow(axis);
    assertEquals(refusedWindow(axis), expected, JSON.stringify(axis));
    if (expected) refused++;
  }
  assert(refused > 1000, `${refused} windows other than the first`);
});

Deno.test("poolings are checked in no time, however many windows they have", () =>
  assertQuick(1000, () => {
    const large = 2 ** 28;
    const axis = {
      size: large,
      dilation: large,
      padding: [large, large],
      ceilMode: false,
    } as const;
    assertEquals(refusedWindow({ ...axis, kernel: 2, stride: 1 }), undefined);
    assertEquals(refusedWindow({ ...axis, size: large - 1, kernel: 2, stride: 1 }), large - 1);
    // window k has taps at 2k − 2²⁸ and 2k, so all but the first step over the only element
    assertEquals(refusedWindow({ ...axis, size: 1, kernel: 2, stride: 2 }), 1);
    assertEquals(refusedWindow({ ...axis, size: large - 2, kernel: 2, stride: 3 }), 89478485);
    for (let stride = 1; stride < 2 ** 27; stride = stride * 3 + 1) {
      refusedWindow({ ...axis, size: 1000, kernel: 2, stride });
    }
  }));
