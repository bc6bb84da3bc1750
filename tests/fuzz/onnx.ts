/** ONNX files: graphs of random nodes, tensors and attributes, and fields of the wrong kind. */

import { operations } from "../../src/models/onnx/operations/mod.ts";
import { joinBytes } from "../bytes.ts";
import { bytes } from "../weights/helpers.ts";
import { type Attribute, field, float, int, node, port, varint } from "../weights/onnx/helpers.ts";
import type { FuzzRandom } from "./random.ts";
import { amplify, checkWeightsFile, damage } from "./weights.ts";

type Code = Uint8Array<ArrayBuffer>;

/** All that make layers, and some that are only computed. `Det` is not supported. */
const names = [
  ...operations.keys(),
  ...["Constant", "ConstantOfShape", "CumSum", "Det", "Mod", "NonZero", "Range", "ReduceProd"],
  ...["ScatterND", "Shape", "Sin", "Size"],
];
const attributes = [
  ...["kernel_shape", "pads", "strides", "group", "to", "value", "axis", "transB", "epsilon"],
  ...["auto_pad", "value_floats", "value_ints", "is_test", "size", "axes", "perm", "split", "mode"],
  ...["starts", "ends", "keepdims", "alpha", "blocksize", "scales", "output_padding", "ceil_mode"],
  ...["antialias", "coordinate_transformation_mode", "cubic_coeff_a", "dilations", "equation"],
  ...["exclude_outside", "exclusive", "nearest_mode", "noop_with_empty_axes", "num_groups"],
  ...["num_outputs", "output_shape", "reduction", "reverse", "select_last_index", "training_mode"],
];
const texts = [
  ...["SAME_UPPER", "edge", "reflect", "wrap", "nearest", "linear", "cubic", "floor", "ceil"],
  ...["align_corners", "asymmetric", "half_pixel_symmetric", "pytorch_half_pixel"],
  ...["abcd,abed->abce", "abcd,de->abce", "ab,ab->a", "a...,b"],
];

/** Opens a random model, and makes its layers. */
export default async function fuzzOnnx(random: FuzzRandom): Promise<void> {
  const side = random.chance(0.5) ? 8 : random.chance(0.5) ? "H" : size(random);
  const parts: Code[] = [field(11, port("v0", random.pick([1, 2, "N"]), 3, side, 8))];
  for (let i = random.below(6); i >= 0; i--) parts.push(field(5, tensor(random)));
  const count = 1 + random.below(12);
  for (let i = 0; i < count; i++) {
    parts.push(repeated(field(1, operation(random, i)), random));
  }
  parts.push(field(12, port(`v${count}`, 1, 5)));
  if (random.chance(0.2)) parts.push(field(12, port(`v${random.below(count)}`, 1, 5)));
  if (random.chance(0.3)) parts.push(anyField(random));
  if (random.chance(0.3)) shuffle(parts, random);
  const pair = field(14, field(1, "names"), field(2, random.pick(["a,b", "{0: 'a'}", "['", "{"])));
  const version = random.chance(0.9) ? 7 + random.below(16) : random.edgy(32);
  const model = [
    int(1, 8),
    field(7, joinBytes(parts)),
    repeated(pair, random),
    field(8, int(2, version)),
  ];
  await checkWeightsFile(damage(joinBytes(model), random), random);
}

function repeated(code: Code, random: FuzzRandom): Code {
  return random.chance(0.1) ? amplify(code, random) : code;
}

function shuffle(parts: Code[], random: FuzzRandom): void {
  for (let i = parts.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [parts[i], parts[j]] = [parts[j], parts[i]];
  }
}

function size(random: FuzzRandom): number {
  return random.chance(0.8) ? random.below(9) : random.edgy(32);
}

/** A TensorProto. Its elements are packed or not, raw or external, and may be too few. */
function tensor(random: FuzzRandom): Code {
  const count = random.below(9);
  const type = random.chance(0.9) ? random.pick([1, 7, 10, 6, 11]) : size(random);
  const shape = random.chance(0.8)
    ? [count]
    : Array.from({ length: random.below(5) }, () => size(random));
  const values = Array.from({ length: count }, () => varint(random.edgy(53)));
  const width = { 1: 4, 10: 2, 6: 4 }[type] ?? 8;
  const data = random.pick([
    field(9, random.bytes(width * count)),
    field(7, joinBytes(values)),
    joinBytes(values.map((value) => bytes(varint(5 * 8), value))),
    field(4, random.bytes(4 * count)),
    field(13, field(1, "location"), field(2, random.pick(["w", "../w", "/w", ""]))),
    anyField(random),
  ]);
  return joinBytes([
    ...shape.map((size) => repeated(int(1, size), random)),
    ...[int(2, type), field(8, random.pick(["w", "b", "v0", "n"]) + random.below(3))],
    repeated(data, random),
  ]);
}

/** A node that takes any of the values before it, and tensors. */
function operation(random: FuzzRandom, i: number): Code {
  const value = () => `v${random.chance(0.7) ? i : random.below(i + 1)}`;
  const input = () =>
    random.chance(0.4) ? value() : random.pick(["w0", "w1", "b0", "n0", "n1", "", `v${i + 1}`]);
  const inputs = Array.from({ length: random.below(random.chance(0.7) ? 3 : 6) }, input);
  const outputs = random.chance(0.9) ? [`v${i + 1}`] : [`v${i + 1}`, "more", "w0"];
  const chosen: Record<string, Attribute> = {};
  while (random.chance(0.4)) chosen[random.pick(attributes)] = attribute(random);
  const code = node(random.pick(names), [value(), ...inputs], outputs, chosen);
  return random.chance(0.95)
    ? code
    : joinBytes([code, repeated(field(5, anyField(random)), random)]);
}

function attribute(random: FuzzRandom): Attribute {
  const list = Array.from({ length: random.below(6) }, () => size(random));
  return random.pick<Attribute>([
    size(random),
    list,
    { float: random.next() },
    ...[random.pick(texts), random.pick(texts), random.pick(texts)],
    [0, 1, -1, 2, 3].slice(random.below(5)),
    tensor(random),
  ]);
}

/** A field of any number, kind and content. */
function anyField(random: FuzzRandom): Code {
  const number = random.chance(0.9) ? 1 + random.below(20) : random.edgy(29);
  return random.pick([
    int(number, random.edgy(53)),
    field(number, random.bytes(random.below(30))),
    float(number, random.next()),
    bytes(varint(number * 8 + random.below(8)), random.bytes(random.below(12))),
    bytes(varint(number * 8 + 2), varint(random.edgy(53))),
  ]);
}
