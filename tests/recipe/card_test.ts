import { FileError } from "../../src/errors.ts";
import { recipes } from "../../weights/recipe/recipe.ts";
import { readCardFiles, renderCard, table } from "../../weights/recipe/card.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "../assert.ts";

const row = {
  epoch: 1,
  side: 48,
  loss: 3.21,
  accuracy: 0.1,
  valLoss: 3,
  top1: 0.4512,
  top5: 0.7,
  lr: 0.05,
  imagesPerSecond: 123.4,
  seconds: 600,
};
const results = Array.from({ length: 30 }, (_, i) => ({
  wnid: `n${i}`,
  label: `class ${i}`,
  count: 50,
  top1: i,
  top5: 40,
}));
const card = ["accuracy", "classes", "recipe", "log"].map((name) =>
  `About ${name}:\n\n<!-- ${name} -->\n\nold\n\n<!-- /${name} -->\n`
).join("\n");

const recipe = recipes["alexnet-tiny"];

Deno.test("renderCard() fills in the numbers of the log and the evaluation", () => {
  const text = renderCard({ card, log: [{ ...row, epoch: 1, top1: 0.2 }, row], results, recipe });
  assertEquals(text.includes("old"), false);
  for (
    const line of [
      "| 1,500 validation images |   top-1 |   top-5 |",
      "| bundled file, int8      | 29.00 % | 80.00 % |",
      "| after training, float32 | 45.12 % | 70.00 % |",
      "| class 29     |  58 % | class 0       |   0 % |",
      "| class 20     |  40 % | class 9       |  18 % |",
      "|     1 |   48 | 3.210 |           3.000 | 45.12 % | 70.00 % |      123 |    10.0 |",
    ]
  ) assertStringIncludes(text, line);
  const { epochs, batch } = recipe;
  assertStringIncludes(text, `\n- ${epochs} epochs in batches of ${batch}; SGD`);
  assertEquals(
    renderCard({ card: text, log: [{ ...row, top1: 0.2 }, row], results, recipe }),
    text,
  );
});

Deno.test("renderCard() describes what only some recipes have", () => {
  const bins = [{ images: 4, confidence: 1, right: 2 }, { images: 4, confidence: 3, right: 2 }];
  const better = bins.map((bin) => ({ ...bin, confidence: bin.right }));
  const words = `${card}<!-- calibration -->\n<!-- /calibration -->\n`;
  const calibrations = [{ temperature: 0.8, bins: better }, { temperature: 1, bins }];
  const files = { card: words, log: [row], results, calibrations };
  const { augmentation, ...others } = recipes["resnet-tiny"];
  const recipe = {
    ...others,
    epochs: 20,
    restarts: [{ epochs: 4, lr: 0.05, warmUp: 0.5 }],
    augmentation: { ...augmentation, cutout: 0.25 },
  };
  const text = renderCard({ ...files, recipe });
  for (
    const line of [
      "| with the temperature 0.8, as in the file |                     0.00 % |",
      "| without a temperature                    |                    25.00 % |",
      "- 24 epochs in batches of 128; SGD",
      "- images of 32×32 in 15 epochs, then 64×64 in 9 epochs",
      "- a warm restart of 4 epochs: warm-up to 0.05 in 0.5 epochs, then down to 0 again",
      "- a blank square of 25 % of the side at a random place",
      "- the weights are a moving average with a decay of 0.998",
      "- the last 12 images of each class were held out",
    ]
  ) assertStringIncludes(text, line);
});

Deno.test("renderCard() rejects a card without a block", () => {
  const files = { card: card.replace("<!-- /log -->", ""), log: [row], results, recipe };
  assertThrows(() => renderCard(files), FileError, "the card: has no block <!-- log -->");
});

Deno.test("table() aligns numbers to the right and text to the left", () => {
  assertEquals(
    table([["name", "%"], ["a", "1.5 %"], ["longer", "20 %"]]),
    [
      "| name   |     % |",
      "| ------ | ----: |",
      "| a      | 1.5 % |",
      "| longer |  20 % |",
    ].join("\n"),
  );
});

Deno.test("the cards are up to date", async () => {
  for (const network of Object.values(recipes).map(({ network }) => network)) {
    const files = await readCardFiles(network);
    assertEquals(files.card, renderCard(files), `run: deno task card --network ${network}`);
  }
});
