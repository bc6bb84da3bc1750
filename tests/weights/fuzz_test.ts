/**
 * Fuzzes damaged files: reading throws nothing but a PembrokeError, and never reads beyond the end.
 */

import { bytesSource } from "../../src/weights/mod.ts";
import { damage, fixtures, readEverything, smallFiles } from "./damage.ts";
import { FuzzRandom } from "../fuzz/random.ts";
import { fixture } from "./helpers.ts";

const rounds = 300;

for (const name of [...fixtures, "torchscript.pt", ...Object.keys(smallFiles)]) {
  Deno.test(`openWeights() reads or rejects ${name} with random damage (${rounds} rounds)`, async () => {
    const file = smallFiles[name] ?? await fixture(name);
    for (let seed = 0; seed < rounds; seed++) {
      const bytes = damage(file, new FuzzRandom(seed));
      try {
        await readEverything(bytesSource(bytes, "x"), bytes.length);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });
}
