// The taps of a pooling window are at start, start + dilation, …; some of them can lie in the padding.

/** First tap k ≥ 0 with start + k·dilation ≥ 0. */
// @ts-ignore: decorator
@inline
export function firstTap(start: i32, dilation: i32): i32 {
  return start >= 0 ? 0 : (dilation - 1 - start) / dilation;
}

/** One past the last tap k < kernel with start + k·dilation < size. */
// @ts-ignore: decorator
@inline
export function endTap(start: i32, dilation: i32, kernel: i32, size: i32): i32 {
  const room = size - start;
  return min(kernel, dilation == 1 ? room : (room + dilation - 1) / dilation);
}

/** First output whose window starts inside the input: ⌈before / stride⌉, `before` being the padding. */
// @ts-ignore: decorator
@inline
export function innerBegin(before: i32, stride: i32, out: i32): i32 {
  return min(out, (before + stride - 1) / stride);
}

/** One past the last output whose window ends inside the input; at least `begin`. */
// @ts-ignore: decorator
@inline
export function innerEnd(before: i32, stride: i32, span: i32, size: i32, begin: i32, out: i32): i32 {
  const room = size - span + before;
  return max(begin, min(out, room < 0 ? 0 : room / stride + 1));
}

// Adaptive windows, in i64, because index · size exceeds 2³¹ from 46341 positions on

/** The first position of window o: ⌊o · size / out⌋. */
// @ts-ignore: decorator
@inline
export function adaptiveBegin(o: i32, size: i32, out: i32): i32 {
  return (((o as i64) * size) / out) as i32;
}

/** The position behind window o: ⌈(o + 1) · size / out⌉. */
// @ts-ignore: decorator
@inline
export function adaptiveEnd(o: i32, size: i32, out: i32): i32 {
  return ((((o as i64) + 1) * size + out - 1) / out) as i32;
}
