import { crc32 as zlib } from "node:zlib";
import { crc32 } from "../../src/io/crc32.ts";
import { assertEquals } from "../assert.ts";

Deno.test("crc32() equals zlib's crc32(), in one call and in two", () => {
  assertEquals(crc32(new TextEncoder().encode("123456789")), 0xcbf43926); // the standard check value
  const bytes = Uint8Array.from({ length: 40 }, (_, i) => i * i * 7);
  for (let start = 0; start < 4; start++) {
    for (let end = start; end < bytes.length; end++) {
      const part = bytes.subarray(start, end), middle = part.length >> 1;
      assertEquals(crc32(part), zlib(part));
      assertEquals(crc32(part.subarray(middle), crc32(part.subarray(0, middle))), zlib(part));
    }
  }
});
