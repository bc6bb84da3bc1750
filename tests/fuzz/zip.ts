/** Zip archives like those of `torch.save()`, with entries, offsets and sizes that do not fit. */

import { bytes, le, py, stateOf, tensor, zip, type ZipItem } from "../weights/helpers.ts";
import type { FuzzRandom } from "./random.ts";
import { checkWeightsFile, damage } from "./weights.ts";

/** Opens a random archive. */
export default async function fuzzZip(random: FuzzRandom): Promise<void> {
  const items: ZipItem[] = [
    { name: "x/data.pkl", data: py.pickle(stateOf(tensor())) },
    { name: "x/byteorder", data: random.pick(["little", "big", "middle", ""]) },
    { name: "x/data/0", data: random.bytes(random.chance(0.8) ? 16 : random.below(40)) },
    { name: "x/version", data: "3\n" },
  ];
  for (const item of items) {
    if (random.chance(0.85)) continue;
    item.overrides = random.pick([
      { method: random.pick([8, 0xffff]) },
      { flags: random.edgy(16) },
      { header: random.edgy(32) },
      { size: random.edgy(32) },
      { localName: "y".repeat(random.below(20)) },
    ]);
  }
  while (random.chance(0.4)) {
    const [item] = items.splice(random.below(items.length), 1);
    items.splice(random.below(items.length + 1), 0, ...random.chance(0.7) ? [item] : [item, item]);
  }
  if (random.chance(0.02)) {
    const count = random.below(20_000);
    for (let i = 0; i < Math.min(count, 300); i++) items.push({ name: `x/data/${i}a`, data: [] });
  }
  const comment = "c".repeat(random.chance(0.9) ? 0 : random.edgy(12));
  const file = zip(items, { zip64: random.chance(0.3), comment });
  // The end record: counts, and the size and offset of the directory.
  const at = file.length - 22 - comment.length;
  if (random.chance(0.2)) file.set(le(random.edgy(32), 4), at + random.pick([8, 12, 16]));
  if (random.chance(0.05)) {
    file.set(bytes("PK", [random.below(8), random.below(8)]), random.below(at));
  }
  await checkWeightsFile(damage(file, random), random);
}
