/**
 * Puts the numbers into a model card: the blocks between `<!-- name -->` and `<!-- /name -->` come
 * from the recipe, the training log and the evaluation.
 *
 *     deno task card
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { FileError } from "../../mod.ts";
import { type ClassResult, parseAccuracy, sumResults } from "./accuracy.ts";
import { type Calibration, calibrationError, parseCalibration } from "./calibration.ts";
import { type LogRow, parseLog } from "./log.ts";
import { networks } from "./networks.ts";
import { readNetwork } from "./options.ts";
import { defaultNetwork, epochsOf, type Recipe, type RecipeNetwork, recipes } from "./recipe.ts";
import { parseOptions, readText, runTask, writeAtomically } from "./task.ts";

const folder = new URL("../", import.meta.url);

/** Number of best and worst classes in the card. */
const classCount = 10;

/** The card, and the data for its blocks. */
export interface CardFiles {
  readonly card: string;
  readonly log: readonly LogRow[];
  readonly results: readonly ClassResult[];
  /** With the temperature, and without it. Undefined for a model without one. */
  readonly calibrations?: readonly Calibration[];
  readonly recipe: Recipe;
}

/** Reads a card, and the data for its blocks. */
export async function readCardFiles(network: RecipeNetwork): Promise<CardFiles> {
  const { file } = networks[network], recipe = recipes[network];
  const [log, accuracy, calibration] = ["log", "accuracy", "calibration"].map((name) =>
    `${file}.${name}.tsv`
  );
  return {
    card: await read(`${file}.md`),
    log: parseLog(await read(log), log),
    results: parseAccuracy(await read(accuracy), accuracy),
    ...(recipe.holdOut > 0 && {
      calibrations: parseCalibration(await read(calibration), calibration),
    }),
    recipe,
  };
}

function read(name: string): Promise<string> {
  return readText(new URL(name, folder), name);
}

/** Returns the card with updated blocks. */
export function renderCard({ card, log, results, calibrations, recipe }: CardFiles): string {
  const blocks = {
    accuracy: accuracyTable(log, results),
    classes: classesTable(results),
    ...(calibrations && { calibration: calibrationTable(calibrations) }),
    recipe: recipeList(recipe),
    log: logTable(log),
  };
  return Object.entries(blocks).reduce(
    (text, [name, block]) => replaceBlock(text, name, block),
    card,
  );
}

function replaceBlock(card: string, name: string, block: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const from = card.indexOf(begin), to = card.indexOf(end);
  if (from < 0 || to < from) throw new FileError("the card", `has no block ${begin} … ${end}`);
  return `${card.slice(0, from + begin.length)}\n\n${block}\n\n${card.slice(to)}`;
}

function accuracyTable(log: readonly LogRow[], results: readonly ClassResult[]): string {
  const { count, top1, top5 } = sumResults(results), lastEpoch = log.at(-1)!;
  const images = `${count.toLocaleString("en-US")} validation images`;
  return table([
    [images, "top-1", "top-5"],
    ["bundled file, int8", percent(top1 / count), percent(top5 / count)],
    ["after training, float32", percent(lastEpoch.top1), percent(lastEpoch.top5)],
  ]);
}

/** The classes with the best and the worst accuracy, side by side. */
function classesTable(results: readonly ClassResult[]): string {
  const share = ({ top1, count }: ClassResult) => top1 / count;
  const sorted = results.toSorted((a, b) => share(b) - share(a) || b.top5 - a.top5);
  const rows = sorted.slice(0, classCount).map((best, i) => {
    const worst = sorted[sorted.length - 1 - i];
    const cells = (result: ClassResult) => [
      result.label.split(",")[0],
      `${Math.round(share(result) * 100)} %`,
    ];
    return [...cells(best), ...cells(worst)];
  });
  return table([["best classes", "top-1", "worst classes", "top-1"], ...rows]);
}

/** The expected calibration error with the temperature, and without it. */
function calibrationTable(calibrations: readonly Calibration[]): string {
  const rows = calibrations.map((calibration) => [
    calibration.temperature === 1
      ? "without a temperature"
      : `with the temperature ${calibration.temperature}, as in the file`,
    percent(calibrationError(calibration)),
  ]);
  return table([["probabilities", "expected calibration error"], ...rows]);
}

function recipeList(recipe: Recipe): string {
  const { batch, lr, warmUp, momentum, weightDecay, labelSmoothing, dropout } = recipe;
  const { sizes, emaDecay, holdOut, restarts, statisticsImages } = recipe;
  const { scale: [minArea], ratio: [minRatio, maxRatio], ...others } = recipe.augmentation;
  const { flip, brightness, contrast, saturation, cutout } = others;
  const share = (value: number) => `${Math.round(value * 100)} %`;
  const lines = [
    `${epochsOf(recipe)} epochs in batches of ${batch}; SGD with Nesterov momentum ${momentum}`,
    ...(sizes.length > 1 ? [`images of ${sizesText(recipe)}`] : []),
    `learning rate: warm-up to ${lr} in ${warmUp} epochs, then half a cosine down to 0`,
    ...restarts.map(({ epochs, lr, warmUp }) =>
      `a warm restart of ${epochs} epochs: warm-up to ${lr} in ${warmUp} epochs, then down to 0 again`
    ),
    `weight decay ${weightDecay}, label smoothing ${labelSmoothing}, dropout ${dropout}`,
    `random crops of at least ${
      share(minArea)
    } of the image, with a ratio of width to height from ` +
    `${minRatio.toFixed(2)} to ${maxRatio.toFixed(2)}`,
    `random mirroring with probability ${flip}`,
    `random changes of brightness by up to ${share(brightness)}, contrast by ${share(contrast)} ` +
    `and saturation by ${share(saturation)}`,
    ...(cutout > 0 ? [`a blank square of ${share(cutout)} of the side at a random place`] : []),
    ...(emaDecay > 0 ? [`the weights are a moving average with a decay of ${emaDecay}`] : []),
    ...(statisticsImages > 0
      ? [
        `at the end, the statistics of batch normalisation are those of ${
          statisticsImages.toLocaleString("en-US")
        } plain images`,
      ]
      : []),
    ...(holdOut > 0 ? [`the last ${holdOut} images of each class were held out`] : []),
  ];
  return lines.map((line) => `- ${line}`).join("\n");
}

/** The sizes of images, and their epochs. */
function sizesText(recipe: Recipe): string {
  const { epochs, sizes } = recipe;
  let before = 0;
  return sizes.map(([side, until]) => {
    const last = until === 1 ? epochsOf(recipe) : Math.round(until * epochs);
    const text = `${side}×${side} in ${last - before} epochs`;
    before = last;
    return text;
  }).join(", then ");
}

function logTable(log: readonly LogRow[]): string {
  const rows = log.map((row) => [
    String(row.epoch),
    String(row.side),
    row.loss.toFixed(3),
    row.valLoss.toFixed(3),
    percent(row.top1),
    percent(row.top5),
    row.imagesPerSecond.toFixed(0),
    (row.seconds / 60).toFixed(1),
  ]);
  const head = "epoch,side,loss,validation loss,top-1,top-5,images/s,minutes".split(",");
  return table([head, ...rows]);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

/** Formats a Markdown table like `deno fmt`. Columns of numbers are aligned to the right. */
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

const usage = `\
Puts the numbers into a model card.

Usage: deno task card [--network NAME]

Options:
      --network NAME ${Object.keys(networks).join(" or ")} (default ${defaultNetwork})
  -h, --help         print this help`;

/** Runs the task and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  return await runTask({ usage, readArgs, run }, args);
}

function readArgs(args: readonly string[]): { network: RecipeNetwork } | undefined {
  const { values } = parseOptions({
    args: [...args],
    options: {
      "network": { type: "string", default: defaultNetwork },
      "help": { type: "boolean", short: "h", default: false },
    },
  });
  return values.help ? undefined : { network: readNetwork(values.network) };
}

async function run({ network }: { network: RecipeNetwork }): Promise<void> {
  const text = renderCard(await readCardFiles(network)), card = `${networks[network].file}.md`;
  await writeAtomically(fileURLToPath(new URL(card, folder)), text);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
