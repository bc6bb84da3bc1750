/** `cli.ts evaluate`: measures a model's accuracy on folders of labelled photos. */

import { FileError, PembrokeError } from "../errors.ts";
import type { Classifier, Prediction } from "../models/mod.ts";
import type { Options } from "./args.ts";
import { each } from "./async_iterators.ts";
import { bulkStages } from "./bulk.ts";
import {
  type ClassFolders,
  classFolders,
  type LabelledPhoto,
  matchFolders,
  noteSkippedFiles,
  quoted,
} from "./class_folders.ts";
import { checkClassifies, type Device, openModel } from "./device.ts";
import { checkOutput, writeText } from "./outputs.ts";
import { outcomes } from "./pipeline.ts";
import { Progress } from "./progress.ts";
import { type Judged, reportJson, reportOf, reportText } from "./report.ts";
import {
  columnsForResults,
  imageFormats,
  note,
  plural,
  printError,
  printIfRead,
  warn,
} from "./terminal.ts";

/** Classifies the photos, prints the report, and returns the exit code. */
export async function evaluate(options: Options): Promise<number> {
  const { inputs: [folder], format, output, quiet } = options;
  if (output !== undefined) await checkOutput(output);
  const found = await classFolders(folder);
  using opened = await openModel(options);
  const { device, selected } = opened;
  const { model } = selected;
  await checkClassifies(model);
  const photos = photosOfClasses(folder, found, model, quiet);
  const { judged, failed } = await judge(photos, model, device, quiet);
  if (judged.length === 0) throw new PembrokeError("no photo could be read");
  if (!quiet) noteSkippedFiles(folder, found);
  const report = reportOf(judged, model.classes.map(({ label }) => label));
  const { name, weights } = selected;
  if (format === "text") printIfRead(reportText(report, columnsForResults()));
  else {
    const document = { model: name, weights, folder, ...reportJson(report), errors: failed };
    printIfRead(JSON.stringify(document, null, format === "json" ? 2 : undefined));
  }
  if (output !== undefined) {
    const { reportPage } = await import("./report_page.ts");
    const title = `${model.type} on ${folder}`;
    await writeText(output, await reportPage(report, { title, weights }));
    if (!quiet) note(`${output}: the report`);
  }
  return failed.length > 0 ? 1 : 0;
}

/**
 * The photos of the model's classes. Warns about folders that are named after none.
 *
 * @throws {FileError} When there are no such photos.
 */
function photosOfClasses(
  folder: string,
  found: ClassFolders,
  { classes }: Classifier,
  quiet: boolean,
): readonly LabelledPhoto[] {
  const labels = matchFolders(found.classes, classes);
  const used = new Set(found.photos.map(({ label }) => label)); // without empty folders
  const unmatched = found.classes.filter((_, i) => labels[i] === undefined && used.has(i));
  const photos = found.photos.flatMap((photo) => {
    const label = labels[photo.label];
    return label === undefined ? [] : [{ ...photo, label }];
  });
  if (unmatched.length > 0 && !quiet) {
    const count = found.photos.length - photos.length;
    warn(`no class of the model matches ${quoted(unmatched)}; skipped ${plural(count, "photo")}`);
  }
  if (photos.length > 0) return photos;
  if (unmatched.length === 0) {
    throw new FileError(folder, `has no photos in its subfolders (${imageFormats})`);
  }
  const names = quoted(classes.map(({ label }) => label));
  throw new FileError(folder, `no subfolder is named after a class of the model: ${names}`);
}

/** Classifies photos. Prints the errors of those that cannot be read. */
export async function judge(
  photos: readonly LabelledPhoto[],
  model: Classifier,
  device: Device,
  quiet: boolean,
): Promise<{ judged: Judged[]; failed: string[] }> {
  const topK = 5, judged: Judged[] = [], failed: string[] = [];
  using stages = bulkStages(
    model.preprocessing,
    device,
    (images): Promise<Prediction[][]> => model.classifyBatch(images, { topK }),
  );
  await device.prepare();
  const progress = new Progress("evaluating", !quiet);
  let done = 0;
  for await (const outcome of outcomes(each(photos), stages)) {
    progress.update(++done, photos.length, "photos");
    if ("error" in outcome) {
      progress.clear();
      printError(outcome.error);
      failed.push(outcome.error);
      continue;
    }
    const { input: { name, label }, output: [first], output, warnings } = outcome;
    if (warnings.length > 0) progress.clear();
    if (!quiet) warnings.forEach(warn);
    const inTop5 = output.some(({ index }) => index === label);
    judged.push({ name, label, predicted: first.index, probability: first.probability, inTop5 });
  }
  progress.clear();
  return { judged, failed };
}
