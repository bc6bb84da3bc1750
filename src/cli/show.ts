/** `--show`: draws photos and heat maps in the terminal. */

import { drawHeatMap } from "../explain/draw.ts";
import type { Options } from "./args.ts";
import { classify, inputsOf } from "./classify.ts";
import { openModel } from "./device.ts";
import { explainImage, readPhoto } from "./explained.ts";
import type { Input } from "./inputs.ts";
import { resultText } from "./output.ts";
import { failure } from "./pipeline.ts";
import { columnsForResults, hasPictures, noteSkipped, print, printError } from "./terminal.ts";
import { showPictures } from "./terminal_picture.ts";

/** Classifies images one by one, and draws each with its heat map. Returns the exit code. */
export async function classifyAndShow(options: Options): Promise<number> {
  if (!hasPictures()) return await classify(options);
  using opened = await openModel(options);
  const { device, selected } = opened;
  const { model } = selected;
  let failures = 0, skipped = 0;
  const failed = (input: Input, error: unknown) => {
    const { error: line } = failure(input, error);
    failures++;
    printError(line);
  };
  for await (const input of inputsOf(options, () => skipped++)) {
    const image = await readPhoto(input, options).catch((error) => failed(input, error));
    if (!image) continue;
    await device.prepare(); // if that fails, all images do
    try {
      const { predictions, explanations: [explanation] } = await device.run(() =>
        explainImage(model, image, options.explain!, ([{ index }]) => [index])
      );
      const result = { input: input.name, predictions: predictions.slice(0, options.topK) };
      print(resultText(result, columnsForResults()));
      await showPictures([image, drawHeatMap(image, explanation)], options.show!);
    } catch (error) {
      failed(input, error);
    }
  }
  if (!options.quiet) noteSkipped(skipped);
  return failures > 0 ? 1 : 0;
}
