import { sum4 } from "./inline/lanes";

/**
 * db[c] += Σ dy over samples and plane: the gradient of a bias, accumulated.
 * @param dy [n, c, plane]; a linear layer's has planes of 1
 */
export function biasBackward(db: usize, dy: usize, n: i32, c: i32, plane: i32): void {
  for (let s = 0; s < n; s++) {
    for (let i = 0, to = db; i < c; i++, to += 4) {
      let sum4s = f32x4.splat(0);
      const end = dy + ((plane as usize) << 2);
      for (; dy + 16 <= end; dy += 16) sum4s = f32x4.add(sum4s, v128.load(dy));
      let sum = sum4(sum4s);
      for (; dy < end; dy += 4) sum += load<f32>(dy);
      store<f32>(to, load<f32>(to) + sum);
    }
  }
}
