/** `cli.ts summary`: what a model is made of. Needs no weights, unless they are to say which one. */

import { createModel } from "../models/load_model.ts";
import { summarize } from "../models/mod.ts";
import type { Options } from "./args.ts";
import { choose } from "./model.ts";
import { summaryText } from "./output.ts";
import { print } from "./terminal.ts";

export async function summary(options: Options): Promise<number> {
  const { weights, seed, model: name = "alexnet-tiny" } = options;
  using chosen = weights !== undefined || seed !== undefined ? await choose(options) : undefined;
  const model = chosen?.model ?? createModel(name);
  const result = summarize(model, model.inputShape());
  print(options.format === "text" ? summaryText(result) : JSON.stringify(result));
  return 0;
}
