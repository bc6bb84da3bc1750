/**
 * Fuzzes damaged files that are read from streams with chunks of odd sizes. If the length of a
 * stream is unknown, no more memory may be allocated than bytes have arrived, plus 1 MiB.
 */

import { writeOnnx, writePth, writeSafetensors } from "../../../src/weights/mod.ts";
import { damage, fixtures, readEverything, smallFiles } from "../damage.ts";
import { FuzzRandom } from "../../fuzz/random.ts";
import {
  bytes,
  chunkedSource,
  fixture,
  le,
  legacy,
  safetensors,
  stateOf,
  tensor,
} from "../helpers.ts";

const rounds = 100;

for (const name of [...fixtures, "torchscript.pt", ...Object.keys(smallFiles)]) {
  Deno.test(`openWeights() reads or rejects a stream of ${name} with random damage`, async () => {
    const file = smallFiles[name] ?? await fixture(name);
    for (let seed = 0; seed < rounds; seed++) {
      const random = new FuzzRandom(seed), bytes = damage(file, random);
      const chunk = 1 + random.below(random.pick([2, 100, 2000]));
      // The stated length may be wrong, too.
      const size = random.pick([undefined, bytes.length, file.length]);
      const maxBytes = Math.max(bytes.length, size ?? 0);
      try {
        await readEverything(await chunkedSource(bytes, { chunk, size }), maxBytes);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });
}

const MiB = 1 << 20;

/** More elements than a stream keeps of its start. */
const count = 300_000, data = Float32Array.from({ length: count }, (_, i) => i);
const tensors = [
  { name: "a", dtype: "F32" as const, shape: [2, 3], data: data.subarray(0, 6) },
  { name: "b", dtype: "F32" as const, shape: [100, count / 100], data },
  { name: "c", dtype: "F16" as const, shape: [6], data: data.subarray(0, 6) },
];
const strided = tensor({ count, shape: [count / 100, 100], stride: [1, count / 100] });
const longFiles: Record<string, Uint8Array> = {
  "long.safetensors": writeSafetensors(tensors, { format: "pt" }),
  "long.pth": writePth(tensors),
  "long_legacy.pth": legacy(stateOf(strided), new Uint8Array(data.buffer), { count }),
  "long.onnx": writeOnnx(tensors),
};

for (const [name, file] of Object.entries(longFiles)) {
  Deno.test(`openWeights() reads or rejects a stream of ${name} with random damage`, async () => {
    for (let seed = 0; seed < rounds; seed++) {
      const random = new FuzzRandom(seed);
      // Damage the descriptions, at the start or behind the long tensor.
      const length = random.pick([30, 300, 3000]);
      const from = random.chance(0.75) ? 0 : file.length - length;
      const bytes = file.slice();
      bytes.set(damage(file.subarray(from, from + length), random), from);
      const cut = random.chance(0.75) ? bytes : bytes.subarray(0, random.below(bytes.length));
      const chunk = 1 + random.below(200_000);
      // ONNX is rejected unless its length is known.
      const size = name.endsWith(".onnx") ? cut.length : undefined;
      try {
        await readEverything(await chunkedSource(cut, { chunk, size }), cut.length + MiB);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });
}

Deno.test("a stream that claims huge tensors allocates no more than what has arrived", async () => {
  const huge = 400_000_000;
  const rows = legacy(
    stateOf(tensor({ count: 2 * huge, shape: [2, huge], stride: [1, 2] })),
    new Uint8Array(2 * MiB),
    { count: 2 * huge },
  );
  const scales = safetensors({
    a_scale: { dtype: "F32", shape: [huge], data_offsets: [0, 4 * huge] },
    a: { dtype: "I8", shape: [huge, 1], data_offsets: [4 * huge, 5 * huge] },
  }, new Uint8Array(2 * MiB));
  const header = bytes(le(99_000_000, 8), "{", new Uint8Array(2 * MiB).fill(0x20));
  for (const file of [rows, scales, header]) {
    await readEverything(await chunkedSource(file, { chunk: 65536 }), file.length);
  }
});
