/** What `console.log()` prints for layers and parameters. */

import { createBackend } from "../../src/backend/mod.ts";
import * as nn from "../../src/layers/mod.ts";
import { assertEquals } from "../assert.ts";

Deno.test("layers print the arguments of their constructors and their parameters", () => {
  const printed: [nn.Layer, string][] = [
    [
      new nn.Conv2d(3, 8, 3, { padding: [1, 0], bias: false, groups: undefined }),
      "Conv2d(inChannels=3, outChannels=8, kernelSize=3, padding=[1, 0], bias=false), 216 parameters",
    ],
    [
      new nn.ConvTranspose1d(2, 3, 4, { stride: 2 }),
      "ConvTranspose1d(inChannels=2, outChannels=3, " +
      "kernelSize=4, stride=2), 27 parameters",
    ],
    [new nn.Linear(512, 1000), "Linear(inFeatures=512, outFeatures=1000), 513,000 parameters"],
    [new nn.BatchNorm2d(8, { eps: 1e-3 }), "BatchNorm2d(numFeatures=8, eps=0.001), 16 parameters"],
    [new nn.Dropout(0.3), "Dropout(p=0.3)"],
    [new nn.ReLU(), "ReLU()"],
    [new nn.Hardtanh(-Infinity, 2), "Hardtanh(minVal=-Infinity, maxVal=2)"],
    [new nn.MaxPool2d(3, { ceilMode: true }), "MaxPool2d(ceilMode=true, kernelSize=3)"],
    [
      new nn.Upsample({ size: [4, 6], mode: "bilinear" }),
      'Upsample(size=[4, 6], mode="bilinear")',
    ],
    [new nn.Reshape([2, -1]), "Reshape(shape=[2, -1])"],
    [new nn.Sequential([]), "Sequential()"],
  ];
  for (const [layer, text] of printed) {
    assertEquals([String(layer), Deno.inspect(layer)], [text, text]);
  }
});

Deno.test("the fields of a layer of one's own are printed, if they are simple values", () => {
  class Mine extends nn.Identity {
    readonly rate = 0.5;
    readonly note = 'a "b"';
    readonly table = new Array(1e6).fill(0);
    readonly weights = new Float32Array(3);
    readonly inner = new nn.ReLU();
  }
  assertEquals(Deno.inspect(new Mine()), String.raw`Identity(rate=0.5, note="a \"b\"")`);
});

Deno.test("networks print their layers with indentation, and shared parameters count once", () => {
  const relu = new nn.ReLU(), shared = new nn.Linear(4, 4);
  const net = new nn.Graph([
    { name: "features", layer: new nn.Sequential([new nn.Sequential([relu]), shared]) },
    { name: "again", layer: shared },
  ]);
  const text = `\
Graph(
  (features): Sequential(
    (0): Sequential(
      (0): ReLU()
    )
    (1): Linear(inFeatures=4, outFeatures=4), 20 parameters
  ), 20 parameters
  (again): Linear(inFeatures=4, outFeatures=4), 20 parameters
), 20 parameters`;
  assertEquals([String(net), Deno.inspect(net)], [text, text]);
});

Deno.test("parameters print their shape, backend, and whether they are trained", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using layer = new nn.BatchNorm2d(3);
  const { weight, bias, running_mean: mean } = layer.parameters;
  assertEquals(Deno.inspect(weight), "Parameter [3]");
  layer.init(backend);
  bias!.freeze();
  const place = `Parameter [3] on ${backend.name}`;
  assertEquals([weight, bias, mean].map((parameter) => Deno.inspect(parameter)), [
    place,
    `${place}, frozen`,
    `${place}, buffer`,
  ]);
});
