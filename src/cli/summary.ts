/** `cli.ts summary`: prints a model's layers. Reads weights only to find out which model it is. */

import { createModel, summarize } from "../models/mod.ts";
import { bundledNetwork } from "../models/bundled.ts";
import type { Options } from "./args.ts";
import { selectModel } from "./model.ts";
import { networkOf } from "./model_name.ts";
import { summaryText } from "./output.ts";
import { print } from "./terminal.ts";

/** Prints the layers as a table or as JSON, and returns the exit code. */
export async function summary(options: Options): Promise<number> {
  const { weights, seed, model: name = bundledNetwork } = options;
  using selected = weights !== undefined || seed !== undefined
    ? await selectModel(options)
    : undefined;
  const model = selected?.model ?? createModel(networkOf(name));
  const result = summarize(model, model.inputShape());
  print(options.format === "text" ? summaryText(result) : JSON.stringify(result));
  return 0;
}
