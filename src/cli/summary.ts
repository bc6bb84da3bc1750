/** `cli.ts summary`: prints a model's layers. Reads weights only to find out which model it is. */

import { type ModelSummary, summarize } from "../models/mod.ts";
import { bundledNetwork } from "../models/bundled.ts";
import type { Options } from "./args.ts";
import { selectModel } from "./model.ts";
import { bold } from "./colors.ts";
import { sampleText } from "./output.ts";
import { tableOf } from "./table.ts";
import { columnsForResults, print } from "./terminal.ts";

/** Prints the layers as a table or as JSON, and returns the exit code. */
export async function summary(options: Options): Promise<number> {
  const { weights, seed, model = bundledNetwork } = options;
  // the layers of a network do not depend on its weights
  const named = weights === undefined && seed === undefined ? { model, seed: 0 } : {};
  using selected = await selectModel({ ...options, ...named });
  const result = summarize(selected.model, selected.model.inputShape());
  const isText = options.format === "text";
  print(isText ? summaryText(result, columnsForResults()) : JSON.stringify(result));
  return 0;
}

/**
 * A model's layers as a table, with totals. If there are branches, a column lists the inputs of each
 * layer, unless it takes the output of the previous layer.
 *
 * @param columns The width of the terminal. Columns that do not fit are left out.
 */
export function summaryText(summary: ModelSummary, columns = Infinity): string {
  const { lastLayer, inputShape, model } = summary;
  const { lines: [head, ...layers], leftOut } = layerTable(summary, columns);
  return [
    bold(`${model}, input ${sampleText(inputShape.slice(1))}`),
    head,
    ...layers.slice(0, -1),
    bold(layers.at(-1)!),
    ...(lastLayer
      ? [
        `last layer ${lastLayer.name}: ${lastLayer.inFeatures} → ${lastLayer.outFeatures} features`,
      ]
      : []),
    ...(leftOut.length > 0 ? [`a wider terminal also shows: ${leftOut.join(", ")}`] : []),
  ].join("\n");
}

function layerTable(
  { layers, parameters, macs }: ModelSummary,
  columns: number,
): ReturnType<typeof tableOf> {
  const number = (value: number) => value.toLocaleString("en-US");
  const hasBranches = layers.some(({ inputs }) => inputs);
  const row = (name: string, type: string, inputs: string, ...rest: readonly string[]) => [
    name,
    type,
    ...(hasBranches ? [inputs] : []),
    ...rest,
  ];
  const rows = layers.map(({ name, type, inputs = [], outputShape, parameters, macs }) =>
    row(
      name,
      type,
      inputs.join(", "),
      sampleText(outputShape.slice(1)),
      parameters > 0 ? number(parameters) : "",
      macs > 0 ? number(macs) : "",
    )
  );
  const head = row("layer", "type", "inputs", "output", "parameters", "multiply-adds");
  const total = row("total", "", "", "", number(parameters), number(macs));
  const indexOf = (name: string) => head.indexOf(name);
  return tableOf([head, ...rows, total], {
    numbers: ["parameters", "multiply-adds"].map(indexOf),
    optional: ["inputs", "type", "output", "parameters"].map(indexOf).filter((index) => index >= 0),
    columns,
  });
}
