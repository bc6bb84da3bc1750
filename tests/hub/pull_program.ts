/**
 * Pulls alexnet-tiny from a URL into a folder: a process that a test can kill. It stops for ever once
 * the stage that is named has begun.
 */

import { pull } from "../../src/hub/mod.ts";
import { published } from "./models.ts";

const [url, folder, stop] = Deno.args;
const { entry } = await published();
const stopAt = (stage: string) => () => {
  if (stage !== stop) return;
  console.log(`${stage} has begun`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
const { cached } = await pull(entry(url), folder, {
  precision: "int8",
  onProgress: stopAt("download"),
  onConvert: stopAt("convert"),
});
console.log(cached ? "cached" : "pulled");
