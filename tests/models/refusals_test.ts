/** Calls that newcomers may make: each gets one line that says what is wrong. */

import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import * as nn from "../../src/layers/mod.ts";
import { createModel, loadModel, summarize } from "../../src/models/mod.ts";
import { conv2d, crossEntropy } from "../../src/ops/mod.ts";
import type { Shape } from "../../src/tensor.ts";
import { assertEquals, assertRejects } from "../assert.ts";

Deno.test("wrong calls get a line that names the mistake", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("resnet-tiny").init(backend);
  using image = backend.upload(new Float32Array(64 * 64 * 3), [1, 64, 64, 3]);
  using weight = backend.upload(new Float32Array(27), [1, 3, 3, 3]);
  using logits = backend.upload([1, 2], [1, 2]);
  const last = "must be [N, 3, H, W]";
  // deno-lint-ignore no-explicit-any
  const any = (value: unknown): any => value;
  const calls: [call: () => unknown, message: string][] = [
    [
      () => model.forward(image),
      `Conv2d: the shape of x is [1, 64, 64, 3], ${last}, in layer "conv1"`,
    ],
    [() => conv2d(image, weight, null), `conv2d: the shape of x is [1, 64, 64, 3], ${last}`],
    [
      () => model.outputShape(image.shape),
      `Conv2d: the shape of x is [1, 64, 64, 3], ${last}, in layer "conv1"`,
    ],
    [
      () => crossEntropy(logits, any(Promise.resolve([1]))),
      "crossEntropy: targets is [object Promise], must be a list of classes, one for each row of x; " +
      "await it first",
    ],
    [() => model.inputShape(0), "resnet-tiny: batch is 0, must be a positive integer"],
    [() => model.inputShape(any("1")), 'resnet-tiny: batch is "1", must be a positive integer'],
    [
      () => model.calibrate(any("photos")),
      'calibrate: images is "photos", must be a list of images',
    ],
    [
      () => model.calibrate(any(new Float32Array(3))),
      "calibrate: images is [object Float32Array], must be a list of images",
    ],
    [
      () => summarize(model, any(undefined)),
      "summarize: inputShape is undefined, must be a list of positive integers",
    ],
    [
      () => summarize(model, any("1,3,64,64")),
      'summarize: inputShape is "1,3,64,64", must be a list of positive integers',
    ],
    [
      () => new nn.Graph([any(new nn.ReLU())]),
      "Graph: a node is [object ReLU], must be { name, layer, inputs }; for layers in order, use Sequential",
    ],
    [
      () => loadModel(any(new Uint8Array(9))),
      "loadModel: options is [object Uint8Array], must be an object",
    ],
  ];
  for (const [call, message] of calls) {
    // deno-lint-ignore require-await -- async, so that each error rejects
    const error = await assertRejects(async () => call(), ArgumentError);
    assertEquals(error.message, message);
  }
});

Deno.test("a convolution blames its weights where the channels are not last either", async () => {
  using conv = new nn.Conv2d(4, 8, 3, { groups: 2 });
  const refused = async (shape: Shape) => {
    // deno-lint-ignore require-await
    return (await assertRejects(async () => conv.outputShape(shape), ArgumentError)).message;
  };
  assertEquals(
    await refused([1, 6, 9, 9]),
    "Conv2d: the shape of weight is [8, 2, 3, 3], must be [outC, 3, kH, kW] for x [1, 6, 9, 9] in " +
      "2 group(s)",
  );
  assertEquals(
    await refused([1, 9, 9, 4]),
    "Conv2d: the shape of x is [1, 9, 9, 4], must be [N, 4, H, W]",
  );
});
