/**
 * Work whose result stays in the memory of the program.
 *
 * @module
 */

import type { Work } from "./peer.ts";

/** A tensor of a program. */
interface Disposable {
  dispose(): void;
}

/** A computation, and the tensors that it takes. */
export interface Computation<T extends Disposable> {
  readonly operands: readonly T[];
  readonly compute: () => T | Promise<T>;
}

/** Times a computation. Keeps its operands until the end, and its result until the next run. */
export function resultWork<T extends Disposable>(
  { operands, compute }: Computation<T>,
  read: (result: T) => Promise<Float32Array>,
): Work {
  let result: T | undefined;
  return {
    async run() {
      result?.dispose();
      const start = performance.now();
      result = await compute();
      return performance.now() - start;
    },
    output: () => read(result!),
    dispose() {
      for (const operand of operands) operand.dispose();
      result?.dispose();
    },
  };
}
