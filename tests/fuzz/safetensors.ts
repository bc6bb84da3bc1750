/** Safetensors files whose headers are nearly JSON, and whose offsets nearly fit. */

import { bytes, le, safetensors } from "../weights/helpers.ts";
import type { FuzzRandom } from "./random.ts";
import { checkWeightsFile, damage } from "./weights.ts";

const dtypes = ["F32", "F16", "BF16", "F64", "I8", "F8_E4M3", "F8_E5M2", "I64", "BOOL", "Q4", ""];
const itemSizes: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2, F64: 8, I64: 8 };

/** Opens a random file, or the index of sharded files. */
export default async function fuzzSafetensors(random: FuzzRandom): Promise<void> {
  if (random.chance(0.1)) return await checkWeightsFile(damage(index(random), random), random);
  const members: string[] = [];
  let offset = 0;
  const count = random.chance(0.98) ? random.below(8) : random.below(60_000);
  for (let i = 0; i < count; i++) {
    const dtype = random.pick(dtypes.slice(0, random.chance(0.9) ? 7 : undefined));
    const rank = random.chance(0.99) ? random.below(4) : random.below(5000);
    const shape = Array.from(
      { length: rank },
      () => random.chance(0.97) ? random.below(5) : random.edgy(53),
    );
    const end = offset + shape.reduce((a, b) => a * b, itemSizes[dtype] ?? 1);
    const offsets = random.chance(0.97) ? [offset, end] : [random.edgy(20), random.edgy(53)];
    const name = random.pick(["model.a", "a", "a_scale", "b", "__proto__", "é\\u0000"]);
    members.push(
      `"${name}${random.chance(0.8) ? i : ""}":` +
        JSON.stringify({ dtype, shape, data_offsets: offsets }),
    );
    if (end < 1e6) offset = end;
  }
  if (random.chance(0.4)) {
    const metadata = random.pick(["null", '{"format":"pt"}', "{}", "[]", '{"a":1}', "nul", '"x"']);
    members.splice(random.below(members.length + 1), 0, `"__metadata__":${metadata}`);
  }
  const header = `{${members.join(random.pick([",", " , ", ",", ",,"]))}}`;
  const spaces = " ".repeat(random.chance(0.9) ? random.below(8) : random.edgy(16));
  const length = random.chance(0.97) ? offset : random.below(offset + 10);
  const file = safetensors(header + spaces, new Uint8Array(length).fill(random.below(256)));
  if (random.chance(0.03)) file.set(le(random.edgy(53), 8));
  await checkWeightsFile(damage(file, random), random);
}

function index(random: FuzzRandom): Uint8Array {
  const names = random.pick(['{"a":"b"}', '{"a":"../b"}', "{}", '{"a":1}', "[", "null"]);
  const depth = random.chance(0.9) ? random.below(5) : random.below(1e5);
  const metadata = random.pick(["{}", "1", '{"a":[1,{"b":"]"}]}', "[".repeat(depth), "}"]);
  return bytes(`{"metadata":${metadata},"weight_map":${names}}`);
}
