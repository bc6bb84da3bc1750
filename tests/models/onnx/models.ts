/** Fixtures, and small ONNX models made of nodes. */

import { createBackend } from "../../../src/backend/mod.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { onnx, type Parts, port } from "../../weights/onnx/helpers.ts";

/** Returns the URL of an ONNX fixture. */
export function fixture(name: string): URL {
  return new URL(`../../fixtures/onnx/${name}`, import.meta.url);
}

/** Creates an ONNX file with the input x [1, 3, 4, 4] and the output y, by default. */
export function smallModel(parts: Parts): Uint8Array<ArrayBuffer> {
  return onnx({ inputs: [port("x", 1, 3, 4, 4)], outputs: [port("y")], ...parts });
}

/** The input values of make_expected.ts. */
export function formula(shape: readonly number[], factor: number): Float32Array {
  const length = shape.reduce((a, b) => a * b);
  return Float32Array.from(
    { length },
    (_, i) => factor * (Number(BigInt(i) * 2654435761n % 2n ** 32n) / 2 ** 31 - 1),
  );
}

/** Runs a model from x to y, and returns the shape and values of y. */
export async function run(parts: Parts, x: readonly number[], shape: readonly number[]) {
  using backend = await createBackend({ threads: 1 });
  const model = { inputs: [port("x", "N", ...shape.slice(1))], outputs: [port("y")], ...parts };
  using network = await loadModel({ backend, weights: onnx(model) });
  using input = backend.upload(Float32Array.from(x), shape);
  using output = network.forward(input);
  return { shape: output.shape, values: [...await output.read()] };
}
