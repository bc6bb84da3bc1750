/** `cli.ts summary`: prints a model's layers. Reads weights only to find out which model it is. */

import { summarize } from "../models/mod.ts";
import { bundledNetwork } from "../models/bundled.ts";
import type { Options } from "./args.ts";
import { selectModel } from "./model.ts";
import { summaryText } from "./output.ts";
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
