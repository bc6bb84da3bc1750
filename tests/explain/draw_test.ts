/** Heat maps as pictures. */

import { ArgumentError } from "../../src/errors.ts";
import { drawHeatMap } from "../../src/explain/draw.ts";
import { assert, assertEquals, assertThrows } from "../assert.ts";

const image = { width: 8, height: 4, data: new Uint8Array(96).fill(200) };
const region = { left: 2, top: 0, width: 4, height: 4 };
const map = { width: 2, height: 1, heat: Float32Array.of(0, 1), region };

Deno.test("drawHeatMap() draws a map on its region, between the centres of its cells", () => {
  const { data } = drawHeatMap(image, map, { alpha: 1 });
  const red = (x: number, y: number) => data[(y * 8 + x) * 3];
  for (let y = 0; y < 4; y++) {
    // the first cell's centre is between the pixels 2 and 3
    assertEquals([0, 1, 2, 5, 6, 7].map((x) => red(x, y)), [200, 200, 0, 250, 200, 200]);
    assert(red(3, y) > 50 && red(3, y) < red(4, y) && red(4, y) < 250, `${red(3, y)} ${red(4, y)}`);
  }
  const half = drawHeatMap(image, map, { alpha: 0.5 }).data;
  assertEquals([half[2 * 3], half[5 * 3]], [100, 225]);
  assertEquals(image.data, new Uint8Array(96).fill(200));
  // a region beyond the image
  const all = { ...map, region: { left: -5, top: -5, width: 20, height: 20 } };
  assertEquals(drawHeatMap(image, all, { alpha: 0 }).data, image.data);
});

Deno.test("drawHeatMap() refuses invalid options, and what is no explanation", () => {
  assertThrows(() => drawHeatMap(image, map, { alpha: 2 }), ArgumentError, "alpha");
  const none = null as unknown as { alpha?: number };
  assertThrows(() => drawHeatMap(image, map, none), ArgumentError, "options is null");
  const unknown = { opacity: 1 } as { alpha?: number };
  assertThrows(() => drawHeatMap(image, map, unknown), ArgumentError, 'an option is "opacity"');
  for (
    const wrong of [
      null,
      {},
      { ...map, region: undefined },
      { ...map, region: { left: 0, top: 0 } },
      { ...map, height: 2 },
      { ...map, heat: Float32Array.of(0, NaN) },
      { ...map, heat: Float32Array.of(0, 2) },
    ] as unknown as (typeof map)[]
  ) {
    assertThrows(() => drawHeatMap(image, wrong), ArgumentError, "a result of explain()");
  }
});
