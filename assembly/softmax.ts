// Softmax and log-softmax along one axis of [outer, size, inner], shifted by the maximum so that no
// exponential overflows. NaN in a row makes the whole row NaN, as does a row of −∞ (0/0).

/** y = exp(x) / Σ exp(x) along the axis; y may be x. */
export function softmax(y: usize, x: usize, outer: i32, size: i32, inner: i32): void {
  const step = (inner as usize) << 2, span = (size as usize) * step;
  for (let o = 0; o < outer; o++, x += span, y += span) {
    for (let i: usize = 0; i < step; i += 4) {
      const top = maximum(x + i, size, step);
      let sum: f32 = 0;
      for (let k: usize = i; k < span; k += step) {
        const e = Mathf.exp(load<f32>(x + k) - top);
        store<f32>(y + k, e);
        sum += e;
      }
      for (let k: usize = i; k < span; k += step) store<f32>(y + k, load<f32>(y + k) / sum);
    }
  }
}

/** y = x − log Σ exp(x) along the axis; y may be x. */
export function logSoftmax(y: usize, x: usize, outer: i32, size: i32, inner: i32): void {
  const step = (inner as usize) << 2, span = (size as usize) * step;
  for (let o = 0; o < outer; o++, x += span, y += span) {
    for (let i: usize = 0; i < step; i += 4) {
      const top = maximum(x + i, size, step);
      let sum: f32 = 0;
      for (let k: usize = i; k < span; k += step) sum += Mathf.exp(load<f32>(x + k) - top);
      const shift = Mathf.log(sum);
      for (let k: usize = i; k < span; k += step) store<f32>(y + k, load<f32>(x + k) - top - shift);
    }
  }
}

/** The largest of `size` floats `step` bytes apart; NaN if one is NaN. */
function maximum(x: usize, size: i32, step: usize): f32 {
  let top: f32 = -Infinity as f32;
  for (let k = 0; k < size; k++, x += step) top = max(top, load<f32>(x));
  return top;
}
