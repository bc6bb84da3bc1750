import { crc32 as zlib } from "node:zlib";
import { crc32 } from "../../src/io/crc32.ts";
import { assertEquals } from "../assert.ts";

Deno.test("crc32() is zlib's, of the whole and piece by piece", () => {
  assertEquals(crc32(new TextEncoder().encode("123456789")), 0xcbf43926); // the standard's check
  const bytes = Uint8Array.from({ length: 40 }, (_, i) => i * i * 7);
  for (let start = 0; start < 4; start++) {
    for (let end = start; end < bytes.length; end++) {
      const some = bytes.subarray(start, end), cut = end - start >> 1;
      assertEquals(crc32(some), zlib(some));
      assertEquals(crc32(some.subarray(cut), crc32(some.subarray(0, cut))), zlib(some));
    }
  }
});
