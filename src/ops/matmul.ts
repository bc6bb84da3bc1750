/**
 * Products of matrices that are both computed, as in attention.
 *
 * @module
 */

import type { MatMulGeometry } from "../backend/geometry.ts";
import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { elements, isShape, sameShape, type Shape, type Tensor } from "../tensor.ts";
import {
  checkBoolean,
  checkOptions,
  checkTensor,
  disposeOnError,
  formatShape,
  type OutOptions,
  produce,
} from "./checks.ts";

/**
 * How the matrices of a product lie in memory.
 */
export interface TransposeOptions {
  /** Whether a is […, k, m]. Default: false. */
  readonly transposeA?: boolean;
  /** Whether b is […, n, k]. Default: false. */
  readonly transposeB?: boolean;
}

const transposeNames = ["transposeA", "transposeB"] as const;

/**
 * Computes a · b for each pair of matrices, `torch.matmul` of tensors with the same leading axes. The
 * layer {@linkcode MatMul} computes gradients.
 *
 * @param a […, m, k].
 * @param b […, k, n].
 * @param options `transposeA` multiplies by the transposes of a's matrices, which are [k, m] then;
 * `transposeB` does so for b, [n, k]. Neither copies them.
 * @returns […, m, n].
 * @throws {ArgumentError} When the shapes do not fit together.
 *
 * @example The weights of an attention
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { matmul } from "./matmul.ts";
 *
 * using backend = await createBackend();
 * using query = backend.upload([1, 0, 0, 1, 1, 1], [1, 3, 2]); // three tokens of two features
 * using key = backend.upload([1, 2, 3, 4], [1, 2, 2]);
 * using scores = matmul(query, key, { transposeB: true });
 * console.log(scores.shape, await scores.read()); // [1, 3, 2], 1, 3, 2, 4, 3, 7
 * ```
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  options: TransposeOptions & OutOptions = {},
): Tensor {
  const op = "matmul";
  checkTensor(op, "a", a, a);
  checkTensor(op, "b", b, a);
  checkOptions(op, options, [...transposeNames, "out"]);
  const { shape, g } = matmulGeometry(op, a.shape, b.shape, options);
  const target = { shape, out: options.out, reads: [b] };
  return produce(op, a, target, (y) => kernelsOf(a).matmul(y, a, b, g));
}

/**
 * Computes the gradients of both factors for {@linkcode matmul}: dy · bᵀ and aᵀ · dy.
 *
 * @param dy The gradient of the product, […, m, n].
 * @param a The first factor of the forward pass.
 * @param b The second factor.
 * @param options Those of the forward pass.
 * @returns The gradients of a and of b.
 * @throws {ArgumentError} When the shapes do not fit together.
 */
export function matmulBackward(
  dy: Tensor,
  a: Tensor,
  b: Tensor,
  options: TransposeOptions = {},
): { readonly da: Tensor; readonly db: Tensor } {
  const op = "matmulBackward";
  checkTensor(op, "a", a, a);
  checkTensor(op, "b", b, a);
  checkOptions(op, options, transposeNames);
  const { shape } = matmulGeometry(op, a.shape, b.shape, options);
  checkTensor(op, "dy", dy, a, shape);
  const { transposeA = false, transposeB = false } = options;
  const da = transposeA
    ? matmul(b, dy, { transposeA: transposeB, transposeB: true })
    : matmul(dy, b, { transposeB: !transposeB });
  return disposeOnError(da, () => {
    const db = transposeB
      ? matmul(dy, a, { transposeA: true, transposeB: transposeA })
      : matmul(a, dy, { transposeA: !transposeA });
    return { da, db };
  });
}

/** Checks the arguments of {@linkcode matmul}, and returns the shape of its result and the sizes for kernels. */
export function matmulGeometry(
  op: string,
  a: Shape,
  b: Shape,
  options: TransposeOptions,
): { readonly shape: Shape; readonly g: MatMulGeometry } {
  const { transposeA, transposeB } = checkTransposes(op, options);
  for (const [name, shape] of Object.entries({ a, b })) {
    if (isShape(shape) && shape.length >= 2) continue;
    throw new ArgumentError(op, `the shape of ${name}`, shape, "at least 2 positive integers");
  }
  const lead = a.slice(0, -2), [rows, columns] = a.slice(-2), [first, second] = b.slice(-2);
  const [m, k] = transposeA ? [columns, rows] : [rows, columns];
  const [depth, n] = transposeB ? [second, first] : [first, second];
  if (depth !== k || !sameShape(b.slice(0, -2), lead)) {
    const expected = formatShape([...lead, ...(transposeB ? [n, k] : [k, n])]);
    throw new ArgumentError(op, "the shape of b", b, `${expected} for a ${formatShape(a)}`);
  }
  return {
    shape: [...lead, m, n],
    g: { batch: elements(lead), m, n, k, transposeA, transposeB, accumulate: false },
  };
}

/** Checks which matrices are transposed. */
export function checkTransposes(
  op: string,
  { transposeA = false, transposeB = false }: TransposeOptions,
): Required<TransposeOptions> {
  checkBoolean(op, "transposeA", transposeA);
  checkBoolean(op, "transposeB", transposeB);
  return { transposeA, transposeB };
}
