import { fromFloat32, toFloat32 } from "../../src/weights/dtype.ts";
import { assertEquals } from "../assert.ts";

/** Every pattern of 16 bits as a number, and back. */
function roundTrip(dtype: "F16" | "BF16"): { values: Float32Array; bits: Uint16Array } {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = toFloat32(dtype, all.buffer as ArrayBuffer, 65536, new Float32Array(65536));
  const bits = new Uint16Array(65536);
  fromFloat32(dtype, values, new DataView(bits.buffer));
  return { values, bits };
}

Deno.test("toFloat32() reads every half as the engine's own Float16Array does", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const { values } = roundTrip("F16");
  assertEquals(values, new Float32Array(new Float16Array(all.buffer)));
});

Deno.test("fromFloat32() gives back every half and bfloat16 that is not NaN, signed zeros too", () => {
  for (const dtype of ["F16", "BF16"] as const) {
    const { values, bits } = roundTrip(dtype);
    for (let i = 0; i < 65536; i++) {
      if (values[i] !== values[i]) continue;
      if (bits[i] !== i) throw new Error(`${dtype} ${i} became ${bits[i]}`);
    }
  }
});

Deno.test("fromFloat32() rounds to nearest even as the engine does", () => {
  // Around every half: its neighbours' midpoint, and one float32 to either side of that.
  const { values } = roundTrip("F16");
  const cases: number[] = [NaN, 65519.99, 65520, 1e10, -1e10, 2 ** -25, 2 ** -25 * 1.001, 1e-30];
  const step = new Float32Array(1), bits = new Int32Array(step.buffer);
  for (let i = 0; i + 1 < 0x7c00; i++) {
    step[0] = (values[i] + values[i + 1]) / 2;
    for (const nudge of [0, 1, -2]) {
      bits[0] += nudge;
      cases.push(step[0], -step[0]);
    }
  }
  const given = new Float32Array(cases), got = new Uint16Array(cases.length);
  fromFloat32("F16", given, new DataView(got.buffer));
  const expected = new Uint16Array(new Float16Array(given).buffer);
  assertEquals(got.findIndex((value, i) => value !== expected[i]), -1);
});

Deno.test("fromFloat32() rounds to bfloat16: ties to even, overflow to infinity, NaN stays", () => {
  const given = new Float32Array([1, 1.00390625, 1.01171875, 3.4e38, NaN, -Infinity]);
  const got = new Uint16Array(6);
  fromFloat32("BF16", given, new DataView(got.buffer));
  assertEquals([...got], [0x3f80, 0x3f80, 0x3f82, 0x7f80, 0x7fc0, 0xff80]);
});

Deno.test("toFloat32() hands F32 over as it is, and rounds F64", () => {
  const raw = new Float32Array([1, 2, 3]);
  const values = toFloat32("F32", raw.buffer, 2, new Float32Array(0));
  assertEquals(values.buffer === raw.buffer, true);
  assertEquals(values.length, 2);
  const doubles = new Float64Array([0.1, 1e300]);
  assertEquals(
    toFloat32("F64", doubles.buffer, 2, new Float32Array(2)),
    new Float32Array([0.1, Infinity]),
  );
});
