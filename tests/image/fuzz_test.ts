/** A moment of each image fuzzer; `deno task fuzz` runs them for longer. */

import { fuzz } from "../fuzz/mod.ts";
import { assertEquals } from "../assert.ts";

for (const format of ["png", "gif", "bmp", "jpeg", "webp"] as const) {
  Deno.test(`decodeImage() returns pixels or throws a FileError for any ${format} file`, async () => {
    const { failure } = await fuzz(format, 0.5, 1);
    assertEquals(failure, undefined);
  });
}
