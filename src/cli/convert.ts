/** `cli.ts convert`: converts weights to another format or precision. */

import type { ByteSink } from "../io/byte_sink.ts";
import { writeFile } from "../io/write_file.ts";
import { describe } from "../models/description.ts";
import { openInput } from "../models/load.ts";
import { describeWeights } from "../models/recognize.ts";
import { convertWeights } from "../weights/convert.ts";
import type { WeightsFile } from "../weights/mod.ts";
import type { ConvertArgs } from "./args_weights.ts";
import { asFileError, asWriteError, isSystemError } from "./errors.ts";
import { pathOf } from "./inputs.ts";
import { megabytes } from "./output.ts";
import { Progress } from "./progress.ts";
import { print } from "./terminal.ts";

/** Converts a file and returns the exit code. On an error, the output file stays as it was. */
export async function convert(args: ConvertArgs): Promise<number> {
  const { from, to, format, precision, quiet } = args;
  using file = await openInput(pathOf(from)).catch((error) => {
    throw isSystemError(error) ? asFileError(from, error) : error;
  });
  const metadata = { ...Object.fromEntries(file.metadata), ...networkDescription(file) };
  const progress = new Progress("converting", !quiet);
  let size = 0;
  const path = pathOf(to);
  const write = async (sink: ByteSink) => {
    const onProgress = (done: number, total: number) => progress.update(done, total);
    size = await convertWeights(file, sink, { format, precision, metadata, onProgress });
    file.close(); // the output may replace it
  };
  try {
    await writeFile(path, write);
  } catch (error) {
    throw isSystemError(error) ? asWriteError(to, error) : error;
  } finally {
    progress.clear();
  }
  if (!quiet) print(`${to}: ${precision}, ${megabytes(size)}`);
  return 0;
}

/** The metadata for a file without its own that holds the weights of a known network. */
function networkDescription(file: WeightsFile): Record<string, string> | undefined {
  if (file.metadata.get("format")?.startsWith("pembroke ")) return undefined;
  const description = describeWeights(file);
  return description && describe(description);
}
