/**
 * Prints by how many bytes the memory of this process grows while an image is decoded. Linux only.
 */

import { decodeImage } from "../../src/image/decode.ts";

const [warmUp, file] = Deno.args.map((path) => Deno.readFileSync(path));

function kilobytes(field: string): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)![1]);
}

await decodeImage(warmUp);
Deno.writeTextFileSync("/proc/self/clear_refs", "5"); // resets VmHWM
const before = kilobytes("VmRSS"), start = performance.now();
const result = await decodeImage(file).then(
  ({ width, height }) => `${width}×${height}`,
  (error) => error.message,
);
const ms = performance.now() - start;
console.log(JSON.stringify({ result, ms, bytes: (kilobytes("VmHWM") - before) * 1024 }));
