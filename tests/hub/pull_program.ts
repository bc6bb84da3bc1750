/**
 * Pulls a small network from a URL into a folder, in a process that a test can kill. It hangs once
 * the given stage ("download" or "convert") has started.
 */

import { pull } from "../../src/hub/mod.ts";
import { testWeights } from "./models.ts";

const [url, folder, hangStage] = Deno.args;
const { entry } = await testWeights();
const hangAt = (stage: string) => () => {
  if (stage !== hangStage) return;
  console.log(`${stage} started`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};
const { cached } = await pull(entry(url), folder, {
  precision: "f32",
  onProgress: hangAt("download"),
  onConvert: hangAt("convert"),
});
console.log(cached ? "cached" : "pulled");
