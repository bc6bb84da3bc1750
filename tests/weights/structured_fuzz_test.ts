/** Runs the fuzzers of weights for a moment. `deno task fuzz` runs them longer. */

import { fuzz } from "../fuzz/mod.ts";

for (
  const name of ["pickle", "zip", "onnx", "graph", "safetensors", "deep_compression"] as const
) {
  Deno.test(`structured ${name} files are read or rejected within their limits`, async () => {
    const { failure } = await fuzz(name, 0.7, 0);
    if (failure) throw new Error(`seed ${failure.seed}`, { cause: failure.error });
  });
}
