/** Computes everything that the page shows, with the library's kernels. */

import {
  add,
  type Backend,
  conv1d,
  conv1dBackwardInput,
  conv1dBackwardWeight,
  conv1dMatrix,
  maxPool1dWithIndices,
  maxPoolBackward,
  type Tensor,
} from "../../../mod.ts";

/** What the reader can change. */
export interface Inputs {
  /** The signal. */
  x: number[];
  /** The kernel, of odd length. */
  w: number[];
  /** The target: the output that training aims at. */
  t: number[];
  /** The learning rate η. */
  rate: number;
  /** Window and stride of max pooling. */
  size: number;
  stride: number;
  /** The gradient of the pooled values, of which the first are used. */
  g: number[];
}

/** What the kernels make of it. */
export interface Results {
  /** The band matrix: y = W·x. */
  readonly W: number[][];
  /** The output with padding (K − 1)/2, and without. */
  readonly y: number[];
  readonly unpadded: number[];
  /** In how many windows each x is, with padding and without. */
  readonly meets: number[];
  readonly meetsUnpadded: number[];
  /** The cost ½·Σ(y − t)² and its gradients. */
  readonly cost: number;
  readonly dy: number[];
  readonly dx: number[];
  readonly dw: number[];
  /** The kernel after one step of gradient descent, and its cost. */
  readonly stepped: number[];
  readonly costAfter: number;
  /** Max pooling of x: the maxima, their positions, and the gradient of x. */
  readonly p: number[];
  readonly chosen: number[];
  readonly dxPool: number[];
}

/** The number of windows of max pooling. */
export function pooledLength({ x, size, stride }: Inputs): number {
  return Math.floor((x.length - size) / stride) + 1;
}

/** Computes all results. */
export async function compute(backend: Backend, inputs: Inputs): Promise<Results> {
  const { w, rate, size, stride } = inputs, n = inputs.x.length, padding = (w.length - 1) / 2;
  const owned: Tensor[] = [];
  const own = (tensor: Tensor) => {
    owned.push(tensor);
    return tensor;
  };
  const vector = (values: readonly number[]) => own(backend.upload(values, [1, 1, values.length]));
  const read = async (tensor: Tensor) => Array.from(await own(tensor).read());
  try {
    const x = vector(inputs.x), kernel = vector(w), target = vector(inputs.t);
    const y = own(conv1d(x, kernel, null, { padding }));
    const unpadded = await read(conv1d(x, kernel, null));

    const costOf = async (difference: Tensor) => {
      const [sum] = await read(conv1d(difference, difference, null)); // the sum of the squares
      return sum / 2;
    };
    const dy = own(add(y, target, { alpha: -1 }));
    const dx = own(conv1dBackwardInput(dy, kernel, [1, 1, n], { padding }));
    const dw = own(conv1dBackwardWeight(dy, x, [1, 1, w.length], { padding }));
    const stepped = own(add(kernel, dw, { alpha: -rate }));
    const yAfter = own(conv1d(x, stepped, null, { padding }));
    const differenceAfter = own(add(yAfter, target, { alpha: -1 }));

    const ones = (length: number) => vector(Array(length).fill(1));
    const weights = ones(w.length);

    const { output, indices } = maxPool1dWithIndices(x, { kernelSize: size, stride });
    own(output);
    owned.push(indices as unknown as Tensor);
    const g = vector(inputs.g.slice(0, pooledLength(inputs)));
    return {
      W: conv1dMatrix(w, n),
      y: Array.from(await y.read()),
      unpadded,
      meets: await read(conv1dBackwardInput(ones(n), weights, [1, 1, n], { padding })),
      meetsUnpadded: await read(
        conv1dBackwardInput(ones(unpadded.length), weights, [1, 1, n]),
      ),
      cost: await costOf(dy),
      dy: Array.from(await dy.read()),
      dx: Array.from(await dx.read()),
      dw: Array.from(await dw.read()),
      stepped: Array.from(await stepped.read()),
      costAfter: await costOf(differenceAfter),
      p: Array.from(await output.read()),
      chosen: Array.from(await indices.read()),
      dxPool: await read(maxPoolBackward(g, indices, [1, 1, n])),
    };
  } finally {
    for (const tensor of owned) tensor.dispose();
  }
}
