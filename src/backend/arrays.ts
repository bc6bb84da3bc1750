/** What backends share about the arrays that go into tensors and come out of them. */

import { ArgumentError } from "../errors.ts";
import { elements, type Shape } from "../tensor.ts";

/** A class of typed arrays. */
export interface ArrayType<V> {
  new (values: ArrayBuffer): V;
  readonly BYTES_PER_ELEMENT: number;
}

/** Throws unless there is a value for each element. */
export function checkLength(op: string, length: number, shape: Shape): void {
  if (length === elements(shape)) return;
  const takes = `${elements(shape)}, as the shape [${shape.join(", ")}] says`;
  throw new ArgumentError(op, "the number of values", length, takes);
}
