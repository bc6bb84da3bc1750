/** BMP of all depths, headers and masks. */

import { FileError } from "../../src/errors.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { assertEquals, assertRejects } from "../assert.ts";

/**
 * A BMP of 2×2 pixels: what is between its header and its rows, and the rows, the bottom one first.
 */
function smallBmp(
  header: { readonly bytes: number; readonly bits: number; readonly compression?: number },
  between: readonly number[],
  rows: readonly number[],
): Uint8Array {
  const { bytes, bits, compression = 0 } = header, start = 14 + bytes + between.length;
  const file = new Uint8Array(start + rows.length), view = new DataView(file.buffer);
  file.set([0x42, 0x4d]);
  const sizes = bytes === 12 ? [2 | 2 << 16, 1 | bits << 16] : [2, 2, 1 | bits << 16, compression];
  for (const [i, value] of [file.length, 0, start, bytes, ...sizes].entries()) {
    view.setUint32(2 + 4 * i, value, true);
  }
  file.set(between, 14 + bytes);
  file.set(rows, start);
  return file;
}

Deno.test("decodeImage() decodes BMP of few bits, with OS/2's header, and with masks", async () => {
  const int32 = (...values: number[]) => [...new Uint8Array(Uint32Array.from(values).buffer)];
  const int16 = (...values: number[]) => [...new Uint8Array(Uint16Array.from(values).buffer)];
  const palette = int32(0xff0000, 0xff00, 0xff, 0);
  const images = {
    "2 bits": smallBmp({ bytes: 40, bits: 2 }, palette, int32(0b10110000, 0b00010000)),
    "4 bits": smallBmp({ bytes: 40, bits: 4 }, palette, int32(0x23, 0x01)),
    "OS/2": smallBmp(
      { bytes: 12, bits: 24 },
      [],
      [...[255, 0, 0, 0, 0, 0, 9, 9], ...[0, 0, 255, 0, 255, 0, 9, 9]],
    ),
    "OS/2, 8 bits": smallBmp(
      { bytes: 12, bits: 8 },
      [...[0, 0, 255], ...[0, 255, 0], ...[255, 0, 0], ...[0, 0, 0]],
      int32(0x0302, 0x0100),
    ),
    "5, 5 and 5 bits": smallBmp({ bytes: 40, bits: 16 }, [], int16(31, 0, 31 << 10, 31 << 5)),
    "5, 6 and 5 bits": smallBmp(
      { bytes: 40, bits: 16, compression: 3 },
      int32(31 << 11, 63 << 5, 31),
      int16(31, 0, 31 << 11, 63 << 5),
    ),
    "red in the last byte": smallBmp(
      { bytes: 40, bits: 32, compression: 3 },
      int32(0xff000000, 0xff0000, 0xff00),
      int32(0xff07, 7, 0xff000007, 0xff0007),
    ),
  };
  const { createImageBitmap } = globalThis;
  Object.assign(globalThis, { createImageBitmap: undefined }); // as in Node
  try {
    const expected = [255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0]; // red, green; blue, black
    for (const [name, bytes] of Object.entries(images)) {
      assertEquals([...(await decodeImage(bytes)).data], expected, name);
    }
    // as Pillow scales them
    const levels = smallBmp({ bytes: 40, bits: 16 }, [], int16(1, 2, 17 << 5, 30 << 10));
    const { data } = await decodeImage(levels);
    assertEquals(data.filter((value) => value > 0), Uint8Array.of(139, 246, 8, 16));
  } finally {
    Object.assign(globalThis, { createImageBitmap });
  }
});

Deno.test("decodeImage() decodes a BMP without the bytes that pad its last row", async () => {
  const rows = [...[1, 2, 3, 4, 5, 6, 0, 0], ...[7, 8, 9, 10, 11, 12, 0, 0]];
  const file = smallBmp({ bytes: 40, bits: 24 }, [], rows);
  const { data } = await decodeImage(file);
  for (const padding of [1, 2]) {
    assertEquals((await decodeImage(file.subarray(0, -padding))).data, data);
  }
  await assertRejects(() => decodeImage(file.subarray(0, -3)), FileError, "truncated");
});

Deno.test("decodeImage() reads no colours behind the palette of a BMP", async () => {
  const palette = [9, 9, 9, 0, 3, 2, 1, 0];
  const file = smallBmp({ bytes: 40, bits: 8 }, palette, [0, 1, 0, 0, 2, 255, 0, 0]);
  file[46] = 2; // colours
  const { data } = await decodeImage(file);
  assertEquals([...data], [0, 0, 0, 0, 0, 0, 9, 9, 9, 1, 2, 3]);
});
