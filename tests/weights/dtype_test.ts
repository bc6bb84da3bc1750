import { fromFloat32, toFloat32 } from "../../src/weights/dtype.ts";
import { assertEquals } from "../assert.ts";

/** Converts all 65 536 bit patterns to numbers and back. */
function roundTrip(dtype: "F16" | "BF16"): { values: Float32Array; bits: Uint16Array } {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = toFloat32(dtype, all.buffer as ArrayBuffer, 65536, new Float32Array(65536));
  const bits = new Uint16Array(65536);
  fromFloat32(dtype, values, new DataView(bits.buffer));
  return { values, bits };
}

Deno.test("toFloat32() converts every half like the engine's Float16Array", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const { values } = roundTrip("F16");
  assertEquals(values, new Float32Array(new Float16Array(all.buffer)));
});

Deno.test("fromFloat32() round-trips every half and bfloat16 except NaN", () => {
  for (const dtype of ["F16", "BF16"] as const) {
    const { values, bits } = roundTrip(dtype);
    for (let i = 0; i < 65536; i++) {
      if (values[i] !== values[i]) continue;
      if (bits[i] !== i) throw new Error(`${dtype} ${i} became ${bits[i]}`);
    }
  }
});

Deno.test("fromFloat32() rounds to the nearest even half like the engine", () => {
  // The midpoint between neighbouring halves, and the float32 values on both sides of it.
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
  const input = new Float32Array(cases), output = new Uint16Array(cases.length);
  fromFloat32("F16", input, new DataView(output.buffer));
  const expected = new Uint16Array(new Float16Array(input).buffer);
  assertEquals(output.findIndex((value, i) => value !== expected[i]), -1);
});

Deno.test("fromFloat32() rounds to bfloat16: ties to even, overflow to infinity, NaN to NaN", () => {
  const input = new Float32Array([1, 1.00390625, 1.01171875, 3.4e38, NaN, -Infinity]);
  const output = new Uint16Array(6);
  fromFloat32("BF16", input, new DataView(output.buffer));
  assertEquals([...output], [0x3f80, 0x3f80, 0x3f82, 0x7f80, 0x7fc0, 0xff80]);
});

Deno.test("fromFloat32() returns the first finite value that becomes infinite", () => {
  const view = new DataView(new ArrayBuffer(12));
  const first = (dtype: "F16" | "BF16", ...values: number[]) =>
    fromFloat32(dtype, Float32Array.from(values), view);
  assertEquals(first("F16", 65519, -65504, Infinity, -Infinity, NaN, 0), undefined);
  assertEquals(first("F16", Infinity, 1, -65520, 1e10), -65520);
  assertEquals(first("F16", 1e10), 1e10);
  assertEquals(first("BF16", 65520, 3.389e38, Infinity, -Infinity, NaN), undefined);
  assertEquals(first("BF16", 1, -3.4e38), Math.fround(-3.4e38));
});

Deno.test("toFloat32() returns F32 without a copy, and rounds F64", () => {
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

Deno.test("toFloat32() converts 8-bit floats as PyTorch does", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i).buffer;
  const e4m3 = toFloat32("F8_E4M3", all, 256, new Float32Array(256));
  const e5m2 = toFloat32("F8_E5M2", all, 256, new Float32Array(256));
  // Bits, E4M3, E5M2: the smallest, the largest subnormal, the smallest normal, one, the largest.
  for (
    const [bits, value4, value5] of [
      [0x00, 0, 0],
      [0x01, 2 ** -9, 2 ** -16],
      [0x07, 7 * 2 ** -9, 1.75 * 2 ** -14],
      [0x08, 2 ** -6, 2 ** -13],
      [0x38, 1, 0.5],
      [0x3c, 1.5, 1],
      [0x7b, 352, 57344],
      [0x7c, 384, Infinity],
      [0x7e, 448, NaN],
      [0x7f, NaN, NaN],
    ]
  ) {
    assertEquals([e4m3[bits], e5m2[bits]], [value4, value5]);
    assertEquals([e4m3[bits + 128], e5m2[bits + 128]], [-value4, -value5]);
  }
});
