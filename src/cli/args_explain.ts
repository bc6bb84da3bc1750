/** Parses the options of explain, and --show, which classify has, too. */

import { checkNotEmpty, invalidValue, oneOf } from "./choices.ts";
import { UsageError } from "./errors.ts";

/** The ways to explain a class: those of src/explain, which is loaded only when it is used. */
const explainMethods = ["grad-cam", "saliency"] as const;

/** How pictures are shown in a terminal; "auto" finds out what it supports. */
export const showModes = ["auto", "kitty", "sixel", "truecolor", "256"] as const;

/** What explain and --show do. */
export interface ExplainArgs {
  /** The PNG to write. */
  readonly output?: string;
  /** The page to write. */
  readonly html?: string;
  /** The class to explain, a name or else an index; undefined for the most probable one. */
  readonly class?: string;
  readonly method: typeof explainMethods[number];
}

/** The values of the options, and of those that cannot be combined with them. */
interface ExplainValues {
  readonly output?: string;
  readonly html?: string;
  readonly class?: string;
  readonly method?: string;
  readonly show: boolean;
  readonly "show-as"?: string;
  readonly json: boolean;
  readonly jsonl: boolean;
  readonly features: boolean;
  readonly resume?: string;
  readonly "files-from"?: string;
  readonly shard?: string;
}

/** Options of classify that --show does not have. */
const otherOptions = ["json", "jsonl", "features", "resume", "files-from", "shard"] as const;

/** What readExplain() reads. */
interface ExplainParts {
  readonly explain?: ExplainArgs;
  readonly show?: typeof showModes[number];
}

/**
 * Reads the options.
 *
 * @throws {UsageError} When they are invalid, or do not fit the command and the number of its inputs.
 */
export function readExplain(
  command: string,
  values: ExplainValues,
  inputs: readonly string[],
): ExplainParts {
  const shows = values.show || values["show-as"] !== undefined;
  const show = shows ? oneOf("--show-as", values["show-as"] ?? "auto", showModes) : undefined;
  const other = otherOptions.find((name) => values[name] !== undefined && values[name] !== false);
  if (other && shows) throw new UsageError(`--show cannot be combined with --${other}`);
  const method = oneOf("--method", values.method ?? "grad-cam", explainMethods);
  if (command !== "explain") {
    if (values.method !== undefined && !shows) throw new UsageError("--method needs --show");
    return shows ? { explain: { method }, show } : {};
  }
  if (inputs.length !== 1) {
    throw new UsageError(`explain takes one image, got ${inputs.length}; see --help`);
  }
  const { output, html } = values;
  if (output === undefined && html === undefined && !shows) {
    throw new UsageError("explain needs -o FILE.png, --html FILE.html or --show");
  }
  checkNotEmpty(values, "class", "a name or an index");
  checkNotEmpty(values, "output", "a file");
  if (output !== undefined && /\.(jpe?g|webp|gif|bmp|html?)$/i.test(output)) {
    throw invalidValue("--output", output, "end in .png");
  }
  return { explain: { output, html, class: values.class, method }, show };
}
