/**
 * With a trained network, heat maps lie on the objects. It needs photos and weights that cannot be
 * included: PEMBROKE_PHOTOS is a folder with the photos of boxes.json, and SqueezeNet's
 * compressed_SqueezeNet.net.
 */

import { createBackend } from "../../src/backend/mod.ts";
import { explain, type Explanation } from "../../src/explain/explain.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { loadModel } from "../../src/models/mod.ts";
import { assert } from "../assert.ts";
import fixture from "../fixtures/explain/boxes.json" with { type: "json" };

const folder = Deno.env.get("PEMBROKE_PHOTOS");
const reason = folder ? "" : " (skipped: PEMBROKE_PHOTOS names no folder with the photos)";

/** The shares of a map's weight, and of its area, that lie in a box. Cells count in part. */
function sharesIn({ heat, width, height, region }: Explanation, box: readonly number[]) {
  const [left, top, right, bottom] = box;
  const cellWidth = region.width / width, cellHeight = region.height / height;
  const overlap = (from: number, to: number, start: number, size: number) =>
    Math.max(0, Math.min(to, start + size) - Math.max(from, start)) / size;
  let inside = 0, all = 0, area = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const share = overlap(left, right, region.left + x * cellWidth, cellWidth) *
        overlap(top, bottom, region.top + y * cellHeight, cellHeight);
      inside += heat[y * width + x] * share;
      all += heat[y * width + x];
      area += share;
    }
  }
  return { weight: inside / all, area: area / heat.length };
}

Deno.test({
  name: `of ten heat maps out of twelve, more than 60 % lie in a box around the object${reason}`,
  ignore: !folder,
  fn: async () => {
    using backend = await createBackend({ device: "wasm" });
    const weights = `${folder}/compressed_SqueezeNet.net`;
    using model = await loadModel({ backend, weights });
    const lines: string[] = [];
    let found = 0;
    for (const [name, box] of Object.entries(fixture.boxes)) {
      const image = await decodeImage(await Deno.readFile(`${folder}/${name}`));
      const explanation = await explain(model, image);
      const { weight, area } = sharesIn(explanation, box);
      const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
      lines.push(
        `${name}, ${explanation.label}: ${percent(weight)} in ${percent(area)} of the area`,
      );
      if (weight > 0.6) found++;
    }
    console.log(lines.join("\n"));
    // the fireboat's jets of water, and the leaves around the bananas, count, too
    assert(found >= 10, `${found}`);
  },
});
