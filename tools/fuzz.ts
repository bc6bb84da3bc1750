/**
 * Feeds random files to readers, and reports the first that breaks a promise: a crash, an untyped
 * error, or too much time or memory.
 *
 *     deno task fuzz                # every fuzzer, 10 seconds each
 *     deno task fuzz 3600 png       # one fuzzer for an hour
 *     deno task fuzz 0 png 1234     # one input again, by its seed
 */

import { fuzz, type FuzzerName, fuzzerNames } from "../tests/fuzz/mod.ts";

const [seconds = "10", name, seed] = Deno.args;
if (!(Number(seconds) >= 0) || (name && !fuzzerNames.includes(name as FuzzerName))) {
  console.error(`usage: deno task fuzz [seconds] [${fuzzerNames.join("|")}] [seed]`);
  Deno.exit(2);
}
// Leaves room to count up.
const start = seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seed);
for (const fuzzer of name ? [name as FuzzerName] : fuzzerNames) {
  const { inputs, failure } = await fuzz(fuzzer, Number(seconds), start);
  console.log(`${fuzzer}: ${inputs} inputs passed`);
  if (failure) {
    console.error(`${fuzzer}: deno task fuzz 0 ${fuzzer} ${failure.seed} fails:`, failure.error);
    Deno.exitCode = 1;
  }
}
