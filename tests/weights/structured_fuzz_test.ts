/** Runs the fuzzers of weights for a moment. `deno task fuzz` runs them longer. */

import fuzzOnnx from "../fuzz/onnx.ts";
import fuzzPickle from "../fuzz/pickle.ts";
import { FuzzRandom } from "../fuzz/random.ts";
import fuzzSafetensors from "../fuzz/safetensors.ts";
import fuzzZip from "../fuzz/zip.ts";

const fuzzers = { pickle: fuzzPickle, zip: fuzzZip, onnx: fuzzOnnx, safetensors: fuzzSafetensors };

for (const [name, fuzzer] of Object.entries(fuzzers)) {
  Deno.test(`structured ${name} files are read or rejected within their limits`, async () => {
    const end = performance.now() + 1500;
    for (let seed = 0; performance.now() < end; seed++) {
      try {
        await fuzzer(new FuzzRandom(seed));
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });
}
