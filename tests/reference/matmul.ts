import { type NumArray, type NumArray64, zeros } from "./array.ts";

/** Which matrices lie transposed in memory. */
export interface Transposes {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** y[…, i, j] = Σ a[…, i, l] · b[…, l, j]. */
export function matmul(a: NumArray, b: NumArray, o: Transposes = {}): NumArray64 {
  const lead = a.shape.slice(0, -2), { m, n, k, at, bt } = places(a, b, o);
  const y = zeros([...lead, m, n]);
  for (let i = 0; i < y.data.length; i++) {
    const pair = Math.floor(i / (m * n)), row = Math.floor(i / n) % m;
    let sum = 0;
    for (let l = 0; l < k; l++) sum += a.data[at(pair, row, l)] * b.data[bt(pair, l, i % n)];
    y.data[i] = sum;
  }
  return y;
}

/** da[…, i, l] = Σ dy[…, i, j] · b[…, l, j], db[…, l, j] = Σ a[…, i, l] · dy[…, i, j]. */
export function matmulBackward(
  dy: NumArray,
  a: NumArray,
  b: NumArray,
  o: Transposes = {},
): [da: NumArray64, db: NumArray64] {
  const { m, n, k, at, bt } = places(a, b, o), da = zeros(a.shape), db = zeros(b.shape);
  for (let i = 0; i < dy.data.length; i++) {
    const pair = Math.floor(i / (m * n)), row = Math.floor(i / n) % m;
    for (let l = 0; l < k; l++) {
      const left = at(pair, row, l), right = bt(pair, l, i % n);
      da.data[left] += dy.data[i] * b.data[right];
      db.data[right] += dy.data[i] * a.data[left];
    }
  }
  return [da, db];
}

function places(a: NumArray, b: NumArray, { transposeA, transposeB }: Transposes) {
  const [rows, columns] = a.shape.slice(-2), [first, second] = b.shape.slice(-2);
  const [m, k] = transposeA ? [columns, rows] : [rows, columns];
  const n = transposeB ? first : second;
  const at = (pair: number, i: number, l: number) =>
    pair * m * k + (transposeA ? l * m + i : i * k + l);
  const bt = (pair: number, l: number, j: number) =>
    pair * k * n + (transposeB ? j * k + l : l * n + j);
  return { m, n, k, at, bt };
}
