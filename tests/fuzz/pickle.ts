/** PyTorch pickles of random instructions, state dicts and checkpoints, in both file formats. */

import { dictClasses, opaqueClasses } from "../../src/weights/pth/data_classes.ts";
import { joinBytes } from "../bytes.ts";
import { bytes, le, legacy, pth, py, tensor } from "../weights/helpers.ts";
import type { FuzzRandom } from "./random.ts";
import { amplify, checkWeightsFile, damage } from "./weights.ts";

const classes = [...dictClasses, ...opaqueClasses, "torch.Size", "torch.float8_e5m2", "os.system"];
const names = ["state_dict", "model", "net", "module.a", "model.b", "_orig_mod.c", "weight", ""];

/** Opens a random `.pth` file. */
export default async function fuzzPickle(random: FuzzRandom): Promise<void> {
  const code = random.chance(0.5) ? value(random, 4) : instructions(random);
  const data = new Uint8Array(random.chance(0.8) ? 16 : random.below(100));
  const file = random.chance(0.5) ? pth(code, data) : legacy(code, data);
  await checkWeightsFile(damage(file, random), random);
}

/** A class or function that pickles name. */
function global(random: FuzzRandom): Uint8Array {
  const name = random.pick(classes), dot = name.lastIndexOf(".");
  return py.global(name.slice(0, dot), name.slice(dot + 1));
}

/** A valid value, nested up to `depth`. */
function value(random: FuzzRandom, depth: number): Uint8Array {
  const inner = () => value(random, depth - 1);
  const many = () => Array.from({ length: random.below(5) }, inner);
  const items = (): [Uint8Array, Uint8Array][] =>
    Array.from({ length: random.below(6) }, () => [
      random.chance(0.9) ? py.text(random.pick(names) + random.below(4)) : inner(),
      inner(),
    ]);
  if (depth === 0 || random.chance(0.3)) return random.chance(0.6) ? weight(random) : leaf(random);
  switch (random.below(6)) {
    case 0:
      return py.list(...many());
    case 1:
      return py.tuple(...many());
    case 2:
      return py.call(global(random), ...many());
    case 3: // a class that is instantiated, with state
      return bytes(global(random), py.tuple(...many()), [0x81], py.dict(...items()), "b");
    default:
      return py.dict(...items());
  }
}

function leaf(random: FuzzRandom): Uint8Array {
  const text = "é".repeat(random.below(9)) + "a".repeat(random.below(99));
  return random.pick([
    ...[py.none, py.false, py.int(random.edgy(32)), py.int(-random.edgy(32)), py.text(text)],
    ...[bytes("G", random.bytes(8)), bytes("C", [3], random.bytes(3)), global(random)],
    bytes([0x8a, 9], random.bytes(9)),
  ]);
}

/** A tensor, often with sizes, strides and an offset that do not fit. */
function weight(random: FuzzRandom): Uint8Array {
  const size = () => random.chance(0.9) ? random.below(4) : random.edgy(53);
  const rank = random.chance(0.95) ? random.below(4) : random.below(100);
  const axes = () => Array.from({ length: rank }, size);
  if (random.chance(0.4)) return tensor();
  return tensor({
    key: random.pick(["0", "0", "1"]),
    type: py.global("torch", random.pick(["FloatStorage", "HalfStorage", "LongStorage"])),
    count: random.chance(0.8) ? 4 : size(),
    offset: random.chance(0.8) ? 0 : size(),
    shape: axes(),
    stride: random.chance(0.9) ? axes() : [],
    rebuild: random.pick(["_rebuild_tensor_v2", "_rebuild_tensor_v2", "_rebuild_tensor"]),
  });
}

/** Instructions in any order, with their operands. */
function instructions(random: FuzzRandom): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = random.below(60); i >= 0; i--) {
    const code = random.chance(0.5) ? leaf(random) : instruction(random);
    parts.push(random.chance(0.2) ? amplify(joinBytes([code, instruction(random)]), random) : code);
  }
  return joinBytes(parts);
}

function instruction(random: FuzzRandom): Uint8Array {
  const index = random.chance(0.8) ? random.below(4) : random.edgy(8);
  return random.pick([
    ...[..."(t)]}aesuRbQ012N"].map((opcode) => bytes(opcode)),
    ...[0x81, 0x85, 0x86, 0x87, 0x8f, 0x90, 0x91, 0x92, 0x93, 0x94].map((opcode) =>
      bytes([opcode])
    ),
    ...[bytes("q", [index]), bytes("h", [index]), bytes("r", le(random.edgy(32), 4))],
    ...[bytes("X", le(random.edgy(32), 4)), bytes([0x8e], le(random.edgy(53), 8))],
    ...[bytes([random.below(256)]), weight(random), global(random)],
  ]);
}
