import { FileError } from "../../src/errors.ts";
import { defaultRecipe } from "../../weights/recipe/options.ts";
import { readCardFiles, renderCard, table } from "../../weights/recipe/card.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "../assert.ts";

const row = {
  epoch: 1,
  loss: 3.21,
  accuracy: 0.1,
  valLoss: 3,
  top1: 0.4512,
  top5: 0.7,
  top1Mirrored: 0.46,
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

Deno.test("renderCard() fills in the numbers of the log and the evaluation", () => {
  const text = renderCard({ card, log: [{ ...row, epoch: 1, top1: 0.2 }, row], results });
  assertEquals(text.includes("old"), false);
  for (
    const line of [
      "| 1,500 validation images |   top-1 |   top-5 |",
      "| bundled file, int8      | 29.00 % | 80.00 % |",
      "| after training, float32 | 45.12 % | 70.00 % |",
      "| class 29     |  58 % | class 0       |   0 % |",
      "| class 20     |  40 % | class 9       |  18 % |",
      "|     1 | 3.210 |           3.000 | 45.12 % | 70.00 % |      123 |    10.0 |",
    ]
  ) assertStringIncludes(text, line);
  const { epochs, batch } = defaultRecipe;
  assertStringIncludes(text, `\n- ${epochs} epochs in batches of ${batch}; SGD`);
  assertEquals(renderCard({ card: text, log: [{ ...row, top1: 0.2 }, row], results }), text);
});

Deno.test("renderCard() rejects a card without a block", () => {
  const files = { card: card.replace("<!-- /log -->", ""), log: [row], results };
  assertThrows(() => renderCard(files), FileError, "README.md: has no block <!-- log -->");
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

Deno.test("weights/README.md is up to date", async () => {
  const files = await readCardFiles();
  assertEquals(files.card, renderCard(files), "run: deno task card");
});
