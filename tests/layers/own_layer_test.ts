/** The layer of one's own in docs/library.md. */

import { createBackend } from "../../src/backend/mod.ts";
import * as nn from "../../src/layers/mod.ts";
import { assertEquals } from "../assert.ts";
import { random, testGradients } from "./differences.ts";

const page = new URL("../../docs/library.md", import.meta.url);
const [code] = Deno.readTextFileSync(page).match(/^import \{[^`]+^class Scale [^`]+?^\}\n/m)!;
const source = code.replace(/(?<=from ")\.[^"]+/g, (path) => new URL(path, page).href);
const blob = new Blob([`${source}export { Scale };`], { type: "application/typescript" });
const { Scale }: {
  Scale: new (features: number) => nn.Layer & { parameters: { weight: nn.Parameter } };
} = await import(
  URL.createObjectURL(blob)
);

testGradients([
  [() => new Scale(4), [3, 4]],
  [() => new nn.Sequential([new nn.Linear(5, 4), new Scale(4), new nn.Linear(4, 2)]), [3, 5]],
]);

Deno.test("a layer of one's own runs in a planned network, and can be frozen", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using scale = new Scale(4), last = new nn.Linear(4, 2);
  using net = new nn.Sequential([scale, new nn.ReLU(), last]).init(backend, { seed: 1 });
  scale.parameters.weight.write(Float32Array.of(1, -2, 3, 0.5));
  using x = backend.upload(random([3, 4], 1), [3, 4]);
  using planned = net.forward(x), scaled = scale.forward(x), relu = new nn.ReLU().forward(scaled);
  using expected = last.forward(relu);
  assertEquals(await planned.read(), await expected.read());

  scale.freeze();
  using y = net.train().forward(x);
  net.backwardParameters(y);
  assertEquals([scale.parameters.weight.grad, last.parameters.weight.grad?.shape], [
    undefined,
    [2, 4],
  ]);
});
