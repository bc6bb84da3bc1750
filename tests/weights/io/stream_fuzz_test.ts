/**
 * Damaged files that arrive in odd pieces: as those on a disk, and where nothing says how long a
 * stream is, no more is asked for at once than a description may take.
 */

import { writeOnnx, writePth, writeSafetensors } from "../../../src/weights/mod.ts";
import { damage, fixtures, made, random, readEverything } from "../damage.ts";
import { arriving, bytes, fixture, le, legacy, safetensors, stateOf, tensor } from "../helpers.ts";

const rounds = 100;

for (const name of [...fixtures, "torchscript.pt", ...Object.keys(made)]) {
  Deno.test(`${name} from a stream, damaged in ${rounds} ways, is read or refused`, async () => {
    const whole = made[name] ?? await fixture(name);
    for (let seed = 0; seed < rounds; seed++) {
      const pick = random(seed), bytes = damage(whole, pick);
      const piece = 1 + pick([2, 100, 2000][pick(3)]);
      // what is said of the length may be wrong, too
      const size = [undefined, bytes.length, whole.length][pick(3)];
      const most = Math.max(bytes.length, size ?? 0);
      try {
        await readEverything(await arriving(bytes, { piece, size }), most);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });
}

/** What a stream reads before its length is asked for. */
const mebi = 1 << 20;

/** Longer than that. */
const count = 300_000, data = Float32Array.from({ length: count }, (_, i) => i);
const tensors = [
  { name: "a", dtype: "F32" as const, shape: [2, 3], data: data.subarray(0, 6) },
  { name: "b", dtype: "F32" as const, shape: [100, count / 100], data },
  { name: "c", dtype: "F16" as const, shape: [6], data: data.subarray(0, 6) },
];
const strided = tensor({ count, shape: [count / 100, 100], stride: [1, count / 100] });
const long: Record<string, Uint8Array> = {
  "long.safetensors": writeSafetensors(tensors, { format: "pt" }),
  "long.pth": writePth(tensors),
  "long_legacy.pth": legacy(stateOf(strided), new Uint8Array(data.buffer), { count }),
  "long.onnx": writeOnnx(tensors),
};

for (const [name, whole] of Object.entries(long)) {
  Deno.test(`${name} from a stream, damaged in ${rounds} ways, is read or refused`, async () => {
    for (let seed = 0; seed < rounds; seed++) {
      const pick = random(seed);
      // where it is described: at the beginning, or behind the long tensor
      const length = [30, 300, 3000][pick(3)], from = pick(4) ? 0 : whole.length - length;
      const bytes = whole.slice();
      bytes.set(damage(whole.subarray(from, from + length), pick), from);
      const cut = pick(4) ? bytes : bytes.subarray(0, pick(bytes.length));
      const piece = 1 + pick(200_000);
      // ONNX is refused unless it is said how long it is
      const size = name.endsWith(".onnx") ? cut.length : undefined;
      try {
        await readEverything(await arriving(cut, { piece, size }), cut.length + mebi);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });
}

Deno.test("of what a stream only claims, no more is held than has arrived", async () => {
  const huge = 400_000_000;
  const rows = legacy(
    stateOf(tensor({ count: 2 * huge, shape: [2, huge], stride: [1, 2] })),
    new Uint8Array(2 * mebi),
    { count: 2 * huge },
  );
  const scales = safetensors({
    a_scale: { dtype: "F32", shape: [huge], data_offsets: [0, 4 * huge] },
    a: { dtype: "I8", shape: [huge, 1], data_offsets: [4 * huge, 5 * huge] },
  }, new Uint8Array(2 * mebi));
  const header = bytes(le(99_000_000, 8), "{", new Uint8Array(2 * mebi).fill(0x20));
  for (const file of [rows, scales, header]) {
    await readEverything(await arriving(file, { piece: 65536 }), file.length);
  }
});
