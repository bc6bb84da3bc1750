/** `cli.ts summary`: what a model is made of. Needs no weights. */

import { AlexNet, summarize } from "../models/mod.ts";
import type { Options } from "./args.ts";
import { summaryText } from "./output.ts";
import { print } from "./terminal.ts";

export function summary(options: Options): number {
  const model = new AlexNet();
  const result = summarize(model, model.inputShape());
  print(options.format === "text" ? summaryText(result) : JSON.stringify(result));
  return 0;
}
