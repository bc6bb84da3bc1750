/**
 * Brings the numbers in the model card up to date: what stands there between `<!-- name -->` and
 * `<!-- /name -->` is made anew from the recipe, the training log and what the evaluation found.
 *
 *     deno task card
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { FileError } from "../../mod.ts";
import { type ClassResult, parseAccuracy, sums } from "./accuracy.ts";
import { type LogRow, parseLog } from "./log.ts";
import { defaultRecipe, type Recipe } from "./options.ts";
import { readText, runTask, UsageError, writeWhole } from "./task.ts";

const folder = new URL("../", import.meta.url);

/** Classes named at either end of the list. */
const shownClasses = 10;

/** What the card is made from, and the card. */
export interface CardFiles {
  readonly card: string;
  readonly log: readonly LogRow[];
  readonly results: readonly ClassResult[];
}

/** Reads the files that lie beside the model. */
export async function readCardFiles(): Promise<CardFiles> {
  const [card, log, results] = await Promise.all(
    ["README.md", "alexnet_tiny.log.tsv", "alexnet_tiny.accuracy.tsv"].map(read),
  );
  return {
    card,
    log: parseLog(log, "alexnet_tiny.log.tsv"),
    results: parseAccuracy(results, "alexnet_tiny.accuracy.tsv"),
  };
}

function read(name: string): Promise<string> {
  return readText(new URL(name, folder), name);
}

/** The card with its numbers of now. */
export function renderCard({ card, log, results }: CardFiles): string {
  const blocks = {
    accuracy: accuracyTable(log, results),
    classes: classesTable(results),
    recipe: recipeList(defaultRecipe),
    log: logTable(log),
  };
  return Object.entries(blocks).reduce((text, [name, block]) => replace(text, name, block), card);
}

function replace(card: string, name: string, block: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const from = card.indexOf(begin), to = card.indexOf(end);
  if (from < 0 || to < from) throw new FileError("README.md", `has no place ${begin} … ${end}`);
  return `${card.slice(0, from + begin.length)}\n\n${block}\n\n${card.slice(to)}`;
}

function accuracyTable(log: readonly LogRow[], results: readonly ClassResult[]): string {
  const { count, top1, top5 } = sums(results), trained = log.at(-1)!;
  const images = `${count.toLocaleString("en-US")} validation images`;
  return table([
    [images, "top-1", "top-5"],
    ["the file as it ships", percent(top1 / count), percent(top5 / count)],
    ["as trained, in float32", percent(trained.top1), percent(trained.top5)],
  ]);
}

/** The classes it knows best, and those it knows worst, side by side. */
function classesTable(results: readonly ClassResult[]): string {
  const share = ({ top1, count }: ClassResult) => top1 / count;
  const sorted = results.toSorted((a, b) => share(b) - share(a) || b.top5 - a.top5);
  const rows = sorted.slice(0, shownClasses).map((best, i) => {
    const worst = sorted[sorted.length - 1 - i];
    const cells = (result: ClassResult) => [
      result.label.split(",")[0],
      `${Math.round(share(result) * 100)} %`,
    ];
    return [...cells(best), ...cells(worst)];
  });
  return table([["recognised best", "top-1", "recognised worst", "top-1"], ...rows]);
}

function recipeList(recipe: Recipe): string {
  const { epochs, batch, lr, warmUp, momentum, weightDecay, labelSmoothing, dropout } = recipe;
  const { scale: [least], ratio: [narrowest, widest], ...colours } = recipe.augmentation;
  const { flip, brightness, contrast, saturation } = colours;
  const share = (value: number) => `${Math.round(value * 100)} %`;
  const lines = [
    `${epochs} epochs in batches of ${batch}; SGD with Nesterov momentum ${momentum}`,
    `learning rate up to ${lr} within ${warmUp} epochs, then along half a cosine to 0`,
    `weight decay ${weightDecay}, label smoothing ${labelSmoothing}, dropout ${dropout}`,
    `crops of ${share(least)} of the image and more, ${narrowest.toFixed(2)} to ` +
    `${widest.toFixed(2)} times as wide as high`,
    `mirrored with probability ${flip}`,
    `brightness changed by up to ${share(brightness)}, contrast by ${share(contrast)}, ` +
    `saturation by ${share(saturation)}`,
  ];
  return lines.map((line) => `- ${line}`).join("\n");
}

function logTable(log: readonly LogRow[]): string {
  const rows = log.map((row) => [
    String(row.epoch),
    row.loss.toFixed(3),
    row.valLoss.toFixed(3),
    percent(row.top1),
    percent(row.top5),
    row.imagesPerSecond.toFixed(0),
    (row.seconds / 60).toFixed(1),
  ]);
  const head = "epoch,loss,validation loss,top-1,top-5,images a second,minutes".split(",");
  return table([head, ...rows]);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

/** A table as `deno fmt` writes it: columns that hold a number stand to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const [head, ...body] = rows;
  const right = head.map((_, i) => body.every((row) => /^[\d.]+( %)?$/.test(row[i])));
  const widths = head.map((_, i) => Math.max(3, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const padded = rows.map((row) =>
    line(row.map((cell, i) => right[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
  );
  const rule = line(
    widths.map((width, i) => right[i] ? `${"-".repeat(width - 1)}:` : "-".repeat(width)),
  );
  return [padded[0], rule, ...padded.slice(1)].join("\n");
}

const usage = "usage: deno task card";

/** Runs the task and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  return await runTask({ usage, readArgs, run }, args);
}

function readArgs(args: readonly string[]): Record<string, never> {
  if (args.length === 0) return {};
  throw new UsageError(usage);
}

async function run(): Promise<void> {
  const text = renderCard(await readCardFiles());
  await writeWhole(fileURLToPath(new URL("README.md", folder)), text);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
