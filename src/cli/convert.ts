/** `cli.ts convert`: converts weights to another format or precision. */

import { FileError } from "../errors.ts";
import type { ByteSink } from "../io/byte_sink.ts";
import { writeFile } from "../io/write_file.ts";
import { describe, withDescription } from "../models/description.ts";
import { isOnnx, openInput } from "../models/load.ts";
import { describeWeights, preprocessingOf } from "../models/recognize.ts";
import { convertWeights } from "../weights/convert.ts";
import type { WeightsFile } from "../weights/mod.ts";
import type { OnnxGraph } from "../weights/onnx/graph.ts";
import type { ConvertArgs } from "./args_weights.ts";
import { asFileError, asWriteError } from "./errors.ts";
import { pathOf } from "./inputs.ts";
import { withSignalCleanupWhenBusy } from "./interrupts.ts";
import { megabytes } from "./output.ts";
import { isSameFile } from "./outputs.ts";
import { Progress } from "./progress.ts";
import { note, print, warn } from "./terminal.ts";

/** Converts a file and returns the exit code. On an error, the output file stays as it was. */
export async function convert(args: ConvertArgs): Promise<number> {
  const size = await convertFile(args, { label: "converting" });
  if (!args.quiet) print(`${args.to}: ${args.precision}, ${megabytes(size)}`);
  return 0;
}

/** How a file is converted. */
interface Conversion {
  /** The name of the operation, beside its progress bar. */
  readonly label: string;
  /** Metadata that replaces the file's own. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Converts a file and returns the size of the output in bytes. On an error, that stays as it was. */
export async function convertFile(
  { from, to, format, precision, quiet }: Omit<ConvertArgs, "command">,
  { label, metadata: own }: Conversion,
): Promise<number> {
  using file = await openInput(pathOf(from)).catch((error) => {
    throw asFileError(from, error);
  });
  const description = own ?? networkDescription(file);
  const graph = isOnnx(file) ? file.graph : undefined, isSigmoid = graph && endsInSigmoid(graph);
  if (graph && graph.nodes.length > 0 && (isSigmoid || !description)) {
    const reason = isSigmoid
      ? "its network ends in a sigmoid, which the output would not have"
      : "its network is not one of the known networks, and the output would have its weights only";
    throw new FileError(file.name, `${reason}: use the ONNX file itself`);
  }
  const metadata = description && withDescription(file.metadata, description);
  const isReplaced = await isSameFile(to, from);
  const progress = new Progress(label, !quiet);
  let size = 0;
  const path = pathOf(to);
  const write = async (sink: ByteSink, onCreated: () => void) => {
    onCreated();
    const onProgress = (done: number, total: number) => progress.update(done, total);
    size = await convertWeights(file, sink, { format, precision, metadata, onProgress });
    file.close(); // the output may replace it
  };
  try {
    await withSignalCleanupWhenBusy((onCreated) =>
      writeFile(path, (sink) => write(sink, onCreated))
    );
  } catch (error) {
    throw asWriteError(to, error);
  } finally {
    progress.clear();
  }
  if (format !== "safetensors" && isDescribed(file) && !quiet) {
    warn(`${to} has no class names and no preprocessing; only .safetensors keeps them`);
  }
  if (isReplaced && !quiet) note(`${to} was also the input, which is replaced now`);
  return size;
}

/** Whether a graph computes a sigmoid, perhaps by a reciprocal, after its last layer with weights. */
function endsInSigmoid({ nodes, outputs: [output] }: OnnxGraph): boolean {
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  const names = new Set(output && [output.name]);
  for (const name of names) { // visits names that it adds, too
    const { op = "", inputs = [] } = producers.get(name) ?? {};
    if (/Sigmoid$|^Reciprocal$/.test(op)) return true;
    if (!/Conv|Gemm|MatMul|^Shape$/.test(op)) inputs.forEach((input) => names.add(input));
  }
  return false;
}

/** Whether a file says which classes and preprocessing belong to its weights. */
function isDescribed(file: WeightsFile): boolean {
  return file.metadata.get("format")?.startsWith("pembroke ") ||
    preprocessingOf(file) !== undefined;
}

/** The metadata for a file without its own that holds the weights of a known network. */
function networkDescription(file: WeightsFile): Record<string, string> | undefined {
  const { metadata } = file, ranges = metadata.get("input_ranges"); // of the same weights
  if (metadata.get("format")?.startsWith("pembroke ")) return undefined;
  const description = describeWeights(file);
  return description &&
    { ...describe(description), ...(ranges !== undefined && { input_ranges: ranges }) };
}
