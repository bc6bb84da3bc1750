/** `cli.ts convert`: weights in another file format or precision. */

import { FileError } from "../errors.ts";
import { writeFile } from "../hub/write_file.ts";
import { parameterShapes } from "../layers/layer.ts";
import { describe } from "../models/description.ts";
import { openInput } from "../models/load.ts";
import { AlexNet } from "../models/mod.ts";
import { checkWeights } from "../weights/check.ts";
import { convertToSafetensors } from "../weights/convert.ts";
import type { WeightsFile } from "../weights/mod.ts";
import type { ConvertArgs } from "./args_weights.ts";
import { asFileError, isSystemError } from "./errors.ts";
import { pathOf } from "./inputs.ts";
import { megabytes } from "./output.ts";
import { Progress } from "./progress.ts";
import { print } from "./terminal.ts";

/** Reads weights in any format and writes them as safetensors, the whole file or none. */
export async function convert({ from, to, precision, quiet }: ConvertArgs): Promise<number> {
  const naming = (path: string) => (error: unknown) => {
    throw isSystemError(error) ? asFileError(path, error) : error;
  };
  using file = await openInput(pathOf(from)).catch(naming(from));
  const metadata = { ...Object.fromEntries(file.metadata), ...alexnetDescription(file) };
  const progress = new Progress("converting", !quiet);
  let size = 0;
  try {
    await writeFile(pathOf(to), async (sink) => {
      const onProgress = (done: number, total: number) => progress.update(done, total);
      size = await convertToSafetensors(file, sink, { precision, metadata, onProgress });
    }).catch(naming(to));
  } finally {
    progress.clear();
  }
  if (!quiet) print(`${to}: ${precision}, ${megabytes(size)}`);
  return 0;
}

/** What to say of a file that says nothing itself, if it holds torchvision's AlexNet. */
function alexnetDescription(file: WeightsFile): Record<string, string> | undefined {
  if (file.metadata.has("format")) return undefined;
  const model = new AlexNet();
  try {
    checkWeights(file, parameterShapes(model), model.type);
  } catch (error) {
    if (error instanceof FileError) return undefined;
    throw error;
  }
  const { classes, preprocessing } = model;
  return describe({ architecture: "alexnet", classes, preprocessing });
}
