/** `cli.ts explain`: shows why the model chose a class. */

import { drawHeatMap } from "../explain/draw.ts";
import { classIndex } from "../explain/explain.ts";
import { ArgumentError } from "../errors.ts";
import { encodePng } from "../image/encode_png.ts";
import type { RgbImage } from "../image/pixels.ts";
import type { Classifier } from "../models/mod.ts";
import type { Options } from "./args.ts";
import type { ExplainArgs } from "./args_explain.ts";
import { invalidValue, nearest } from "./choices.ts";
import { quoted } from "./class_folders.ts";
import { type Device, openModel } from "./device.ts";
import { UsageError } from "./errors.ts";
import { type Explained, explainImage, readPhoto } from "./explained.ts";
import { findInputs, type Input } from "./inputs.ts";
import type { SelectedModel } from "./model.ts";
import { resultText } from "./output.ts";
import { checkDiffers, checkOutput, writeBytes, writeText } from "./outputs.ts";
import { columnsForResults, hasPictures, note, printIfRead, warn } from "./terminal.ts";

/** Explains the photo, writes the files, and returns the exit code. */
export async function explainPhoto(options: Options): Promise<number> {
  const { html, class: wanted } = options.explain!;
  using opened = await openModel(options);
  const { device, selected } = opened;
  const { model } = selected;
  const index = wanted === undefined ? undefined : indexOf(model, wanted);
  const input = await onlyInput(options.inputs[0]);
  await checkFiles(options.explain!, input);
  const image = await readPhoto(input, options);
  await device.prepare();
  const found = await device.run(() =>
    explainImage(model, image, options.explain!, (all) => {
      const first = index ?? all[0].index;
      if (html === undefined) return [first];
      // the page shows the three most probable classes
      return [...new Set([first, ...all.slice(0, 3).map(({ index }) => index)])];
    })
  );
  printResult(input, found, options);
  const drawn = drawHeatMap(image, found.explanations[0]);
  await writeFiles(found, drawn, selected, device, { input, options });
  if (options.show && hasPictures()) {
    const { showPictures } = await import("./terminal_picture.ts");
    await showPictures([image, drawn], options.show);
  }
  return 0;
}

/** Prints the most probable classes, and the explained one if it is not among them. */
function printResult(
  { name }: Input,
  { predictions, explanations: [explained] }: Explained,
  { topK, quiet }: Options,
): void {
  const top = predictions.slice(0, topK);
  const isShown = top.some(({ index }) => index === explained.index);
  const shown = isShown ? top : [...top, explained];
  printIfRead(resultText({ input: name, predictions: shown }, columnsForResults()));
  if (!quiet && explained.heat.every((value) => value === 0)) {
    warn("the map is empty, because no area raised the score of the class; try --method saliency");
  }
}

/** Writes the picture and the page that the options ask for. */
async function writeFiles(
  found: Explained,
  drawn: RgbImage,
  selected: SelectedModel,
  device: Device,
  { input, options }: { readonly input: Input; readonly options: Options },
): Promise<void> {
  const { output, html, method } = options.explain!;
  if (output !== undefined) {
    await writeBytes(output, await encodePng(drawn));
    const label = JSON.stringify(found.explanations[0].label);
    if (!options.quiet) note(`${output}: where the model found ${label}`);
  }
  if (html !== undefined) {
    const { explainPage } = await import("./explain_page.ts");
    const { model, ...names } = selected;
    const facts = { ...names, input: input.name, backend: device.backend, method };
    const page = await device.run(() => explainPage(model, found, facts));
    await writeText(html, page);
    if (!options.quiet) note(`${html}: the report`);
  }
}

/** Finds the image of the argument. Throws if there are several. */
async function onlyInput(argument: string): Promise<Input> {
  const found: Input[] = [];
  for await (const input of findInputs(argument)) {
    found.push(input);
    if (found.length > 1) {
      throw new UsageError(`explain takes one image, but ${argument} has several`);
    }
  }
  return found[0];
}

/** Throws if a file cannot be written, or would replace the photo or the other file. */
async function checkFiles({ output, html }: ExplainArgs, { name }: Input): Promise<void> {
  for (const [option, file] of [["--output", output], ["--html", html]] as const) {
    if (file === undefined) continue;
    await checkOutput(file);
    await checkDiffers(option, file, name, "the photo");
  }
  if (output === undefined || html === undefined) return;
  await checkDiffers("--html", html, output, "the file of --output");
}

function indexOf(model: Classifier, wanted: string): number {
  try {
    return classIndex(model, wanted);
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    const similar = similarLabels(model, wanted);
    const hint = similar.length > 0 ? `, such as ${quoted(similar)}` : "";
    const rule = `be a label of the model${hint}, or an index from 0 to ${model.numClasses - 1}`;
    throw invalidValue("--class", wanted, rule);
  }
}

/** The labels that contain a word, or have a name that is spelled in nearly the same way. */
function similarLabels({ classes }: Classifier, word: string): string[] {
  const wanted = word.toLowerCase();
  const isSimilar = (label: string) => {
    const names = label.toLowerCase().split(/,\s*/);
    return nearest(wanted, names) || names.some((name) => name.split(/\s+/).includes(wanted));
  };
  return classes.map(({ label }) => label).filter((label) =>
    label.length < 200 && isSimilar(label)
  );
}
