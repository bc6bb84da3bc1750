import { decodeImage } from "../../src/image/decode.ts";
import { encodePng } from "../../src/image/encode_png.ts";
import { ArgumentError } from "../../src/errors.ts";
import { RandomGenerator } from "../../src/random.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";

Deno.test("encodePng() writes what our reader decodes, for any pixels", async () => {
  const generator = new RandomGenerator(1);
  for (const [width, height] of [[1, 1], [1, 7], [7, 1], [2, 2], [33, 9], [200, 150]]) {
    const noise = Uint8Array.from({ length: width * height * 3 }, () => generator.random());
    const smooth = noise.map((_, i) => (i % (width * 3)) * 3 + i / 50);
    const flat = new Uint8ClampedArray(noise.length).fill(77);
    for (const data of [noise, smooth, flat]) {
      const png = await encodePng({ width, height, data });
      const image = await decodeImage(png);
      assertEquals([image.width, image.height], [width, height]);
      assertEquals(Uint8Array.from(image.data), Uint8Array.from(data));
    }
  }
});

Deno.test("encodePng() filters rows, and refuses images of the wrong size", async () => {
  const photo = await Deno.readFile(new URL("../photos/chelsea.png", import.meta.url));
  const png = await encodePng(await decodeImage(photo));
  assert(png.length < 1.05 * photo.length, `${png.length} bytes, ${photo.length} by others`);
  const data = new Uint8Array(5);
  await assertRejects(() => encodePng({ width: 1, height: 2, data }), ArgumentError, "6 ");
});

Deno.test("encodePng() needs no Blob, which Deno frees late, and no bytes() of responses", async () => {
  const image = { width: 1, height: 1, data: Uint8Array.of(1, 2, 3) }, { prototype } = Response;
  const expected = await encodePng(image), { bytes } = prototype, { Blob } = globalThis;
  Object.assign(prototype, { bytes: undefined });
  Object.assign(globalThis, { Blob: undefined });
  try {
    assertEquals(await encodePng(image), expected);
  } finally {
    Object.assign(prototype, { bytes });
    Object.assign(globalThis, { Blob });
  }
});
