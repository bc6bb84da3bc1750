/** Grad-CAM and saliency give PyTorch's numbers. */

import type { Backend } from "../../src/backend/mod.ts";
import { gradCam } from "../../src/explain/grad_cam.ts";
import { saliency } from "../../src/explain/saliency.ts";
import { bundledWeights } from "../../src/models/bundled.ts";
import { AlexNet, type Classifier, loadModel } from "../../src/models/mod.ts";
import { assert, assertAllClose, assertEquals } from "../assert.ts";
import { testWithThreads } from "../backends.ts";
import expected from "../fixtures/explain/expected.json" with { type: "json" };
import single from "../fixtures/onnx/binary/expected.json" with { type: "json" };
import { images, loadNarrow, type NarrowName } from "../models/narrow.ts";

type Name = keyof typeof expected.networks;

const narrowAlexNet = { channels: [4, 6, 8, 6, 6], hiddenFeatures: 16, numClasses: 10 } as const;

/** Loads a network with PyTorch's weights. */
async function load(name: Name, backend: Backend): Promise<Classifier> {
  if (name === "alexnet-tiny") {
    return await loadModel({ backend, weights: bundledWeights(name), precision: "f32" });
  }
  if (name !== "alexnet") return await loadNarrow(name as NarrowName, backend);
  const weights = new URL("../fixtures/models/narrow_alexnet.pth", import.meta.url);
  return await AlexNet.load({ backend, weights, ...narrowAlexNet });
}

async function compare(name: Name, backend: Backend): Promise<void> {
  const { class: index, side, gradCam: cam, saliency: pixels } = expected.networks[name];
  using model = await load(name, backend);
  // narrow networks are tested with smaller images than those of their preprocessing
  Object.defineProperty(model, "preprocessing", { value: { ...model.preprocessing, crop: side } });
  const values = images(1, side), versions = versionsOf(model);
  {
    using x = backend.upload(values, [1, 3, side, side]);
    const [{ heat, ...size }] = await gradCam(model, x, [index]);
    assertEquals(size, { width: cam.width, height: cam.height });
    assertAllClose(heat, cam.heat, { abs: 1e-3, name: `Grad-CAM of ${name}` });
  }
  const { samples, noise, seed } = expected;
  const [{ heat, width, height }] = await saliency(model, values, [index], {
    samples,
    noise,
    seed,
  });
  assertEquals([width, height], [side, side]);
  const step = side < 200 ? 11 : 88;
  const some = heat.filter((_, i) => i % step === 0);
  assertAllClose(some, pixels, { abs: 1e-3, name: `saliency of ${name}` });

  assertEquals(versionsOf(model), versions, "the weights were written to");
  assert(!model.training);
  for (const { grad } of model.stateDict().values()) assertEquals(grad, undefined);
}

function versionsOf(model: Classifier): (number | undefined)[] {
  return [...model.stateDict().values()].map(({ tensor }) => tensor?.version);
}

for (const name of Object.keys(expected.networks) as Name[]) {
  testWithThreads(
    `${name}: Grad-CAM and saliency are PyTorch's`,
    (backend) => compare(name, backend),
  );
}

testWithThreads(
  "ONNX networks have the same maps as their torchvision originals",
  async (backend) => {
    const names = [
      "vgg11_bn",
      "squeezenet1_1",
      "resnet18",
      "googlenet",
      "mobilenet_v3_small",
    ] as const;
    for (const name of names) {
      const { class: index, side, gradCam: { heat, ...size } } = expected.networks[name];
      const weights = new URL(`../fixtures/networks/${name}.onnx`, import.meta.url);
      using model = await loadModel({ backend, weights });
      using x = backend.upload(images(1, side), [1, 3, side, side]);
      const [{ heat: actual, width, height }] = await gradCam(model, x, [index]);
      assertEquals({ width, height }, size, name);
      assertAllClose(actual, heat, { abs: 1e-3, name });
    }
  },
);

testWithThreads(
  "a single score raises the second of two classes, and lowers the first, also before a sigmoid",
  async (backend) => {
    for (const name of ["logit", "sigmoid", "squeezed"]) {
      const weights = new URL(`../fixtures/onnx/binary/${name}.onnx`, import.meta.url);
      using model = await loadModel({ backend, weights, numClasses: 2 });
      const compare = async (maps: readonly (readonly number[])[]) => {
        using x = backend.upload(images(1, 16), [1, 3, 16, 16]);
        for (const [index, map] of (await gradCam(model, x, [0, 1])).entries()) {
          assertEquals([map.width, map.height], [5, 5]);
          assertAllClose(map.heat, maps[index], { abs: 1e-3, name: `${name}, class ${index}` });
        }
      };
      await compare(single.gradCam);
      const [first, second] = await saliency(model, images(1, 16), [0, 1], { samples: 2 });
      assertEquals(first.heat, second.heat); // how much a pixel changes the score, up or down
      const { bias } = model.head.layer.parameters; // a sigmoid of 1 has no gradient
      bias!.write(Float32Array.of(100));
      await compare(single.gradCam);
    }
  },
);
