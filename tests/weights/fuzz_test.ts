/** Damaged files: never another exception than a PembrokeError, never a read of more than there is. */

import { bytesSource } from "../../src/weights/mod.ts";
import { damage, fixtures, made, random, readEverything } from "./damage.ts";
import { fixture } from "./helpers.ts";

const rounds = 300;

for (const name of [...fixtures, "torchscript.pt", ...Object.keys(made)]) {
  Deno.test(`${name}, damaged in ${rounds} ways, is read or refused`, async () => {
    const whole = made[name] ?? await fixture(name);
    for (let seed = 0; seed < rounds; seed++) {
      const bytes = damage(whole, random(seed));
      try {
        await readEverything(bytesSource(bytes, "x"), bytes.length);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });
}
