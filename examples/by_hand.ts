/**
 * Convolution and max pooling by hand: prints each step as a matrix product and as the kernels compute
 * it, and shows the effect of padding.
 *
 *     deno run examples/by_hand.ts
 *
 * @module
 */

import {
  add,
  conv1d,
  conv1dBackwardInput,
  conv1dBackwardWeight,
  conv1dMatrix,
  createBackend,
  maxPool1dWithIndices,
  maxPoolBackward,
} from "../mod.ts";

/** M·v */
export function times(matrix: readonly (readonly number[])[], v: ArrayLike<number>): number[] {
  return matrix.map((row) => row.reduce((sum, m, j) => sum + m * v[j], 0));
}

/** Mᵀ */
export function transposed(matrix: readonly (readonly number[])[]): number[][] {
  return matrix[0].map((_, j) => matrix.map((row) => row[j]));
}

/** The matrix R of zeros and ones that selects each window's maximum: y = R·x and dx = Rᵀ·dy. */
export function routingMatrix(indices: ArrayLike<number>, n: number): number[][] {
  return Array.from(indices, (at) => Array.from({ length: n }, (_, j) => Number(j === at)));
}

/** Prints the whole calculation, and returns the results of the kernels for tests. */
export async function byHand(print: (line: string) => void = () => {}) {
  using backend = await createBackend({ device: "wasm" });
  const vector = (values: readonly number[]) => backend.upload(values, [1, 1, values.length]);
  const row = (values: ArrayLike<number>) =>
    Array.from(values, (v) => String(Math.round(v * 1000) / 1000).padStart(6)).join(" ");
  const show = (name: string, values: ArrayLike<number>) =>
    print(`${name.padEnd(22)}${row(values)}`);
  const showMatrix = (name: string, matrix: readonly (readonly number[])[]) =>
    matrix.forEach((values, i) => show(i === 0 ? name : "", values));

  const x = [1, 3, 2, 5, 4], w = [1, 2, -1];
  const input = vector(x), kernel = vector(w), padded = { padding: 1 } as const;

  print("1. Convolution: y[i] = Σ w[k]·x[i + k − 1], zeros outside\n");
  const W = conv1dMatrix(w, x.length);
  show("x", x);
  show("w", w);
  showMatrix("W", W);
  const y = await conv1d(input, kernel, null, padded).read();
  show("W·x, by hand", times(W, x));
  show("conv1d(x, w)", y);

  print("\n2. Backward: dy is the gradient of the loss\n");
  const dy = [1, 0, -1, 2, 1], gradient = vector(dy);
  show("dy", dy);
  showMatrix("Wᵀ", transposed(W));
  const dx = await conv1dBackwardInput(gradient, kernel, [1, 1, 5], padded).read();
  show("Wᵀ·dy, by hand", times(transposed(W), dy));
  show("dx", dx);
  const dwByHand = w.map((_, k) => dy.reduce((sum, g, i) => sum + g * (x[i + k - 1] ?? 0), 0));
  const dw = await conv1dBackwardWeight(gradient, input, [1, 1, 3], padded).read();
  show("Σ dy[i]·x[i + k − 1]", dwByHand);
  show("dw", dw);

  print("\n3. One gradient descent step: w ← w − 0.1·dw\n");
  add(kernel, vector([...dw]), { alpha: -0.1, out: kernel });
  const updated = await kernel.read();
  show("w before", w);
  show("w after", updated);

  print("\n4. Padding: without it, border elements meet fewer weights, and y is shorter\n");
  const unpadded = await conv1d(input, vector(w), null).read();
  show("padding 1", y);
  show("padding 0", unpadded);
  const ones = vector([1, 1, 1, 1, 1]);
  const weightSums = await conv1dBackwardInput(ones, vector([1, 1, 1]), [1, 1, 5], padded).read();
  const weightSumsUnpadded = await conv1dBackwardInput(vector([1, 1, 1]), vector([1, 1, 1]), [
    1,
    1,
    5,
  ])
    .read();
  show("weights, padding 1", weightSums);
  show("weights, padding 0", weightSumsUnpadded);

  print("\n5. Max pooling with kernel size 3 and stride 2: each window selects one x\n");
  const { output, indices } = maxPool1dWithIndices(input, { kernelSize: 3, stride: 2 });
  const maxima = await output.read();
  const R = routingMatrix(await indices.read(), x.length);
  show("x", x);
  showMatrix("R", R);
  show("R·x, by hand", times(R, x));
  show("maxPool1d(x)", maxima);
  const dp = [10, 1];
  const dxPool = await maxPoolBackward(vector(dp), indices, [1, 1, 5]).read();
  show("dy", dp);
  show("Rᵀ·dy, by hand", times(transposed(R), dp));
  show("dx", dxPool);

  return {
    x,
    w,
    dy,
    W,
    y,
    dx,
    dw,
    dwByHand,
    updated,
    R,
    maxima,
    dp,
    dxPool,
    weightSums,
    weightSumsUnpadded,
  };
}

if (import.meta.main) await byHand(console.log);
