/** Parses the command line. */

import { devices } from "../backend/devices.ts";
import { type Preprocessing, preprocessingNames } from "../image/preprocess.ts";
import { precisions } from "../layers/precision.ts";
import type { ExplainArgs, readExplain, showModes } from "./args_explain.ts";
import type { LearnArgs } from "./args_learn.ts";
import type { WeightsArgs } from "./args_weights.ts";
import {
  checkNotEmpty,
  exclude,
  ifGiven,
  integer,
  invalidValue,
  nearest,
  oneOf,
  positive,
} from "./choices.ts";
import { UsageError } from "./errors.ts";
import type { Shard } from "./inputs.ts";
import { checkUsed, commands, modelCommands, options, weightsCommands } from "./options.ts";
import { parseStrictly } from "./parse.ts";

/** The parsed arguments of any command. */
export type Command = Options | WeightsArgs | LearnArgs | HelpArgs | VersionArgs;

/** `--help`, or `cli.ts help`. */
interface HelpArgs {
  readonly command: "help";
  /** The command that help is about; any other word stands for none. */
  readonly topic?: string;
}

/** `--version`. */
interface VersionArgs {
  readonly command: "version";
}

/** The options that choose a model, and how it runs. */
export interface ModelOptions {
  /** The network or published weights; undefined for the network that the weights belong to. */
  readonly model?: string;
  /** The file or URL of the weights; undefined for cached or bundled ones. */
  readonly weights?: string;
  /** The network that weights with only a last layer belong to; undefined for a cached one. */
  readonly base?: string;
  /** A file of class names, one per line; undefined for the model's own. */
  readonly classes?: string;
  /** Values that replace those of the model's preprocessing. */
  readonly preprocessing?: Partial<Preprocessing>;
  /** The seed of random weights; undefined for weights from a file. */
  readonly seed?: number;
  readonly backend: typeof devices[number];
  /** Undefined for the precision of the weights. */
  readonly precision?: typeof precisions[number];
  /** Whether not to download weights without being asked to. */
  readonly offline: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** The parsed arguments of the commands that run a model. */
export interface Options extends ModelOptions {
  readonly command: typeof modelCommands[number];
  readonly inputs: readonly string[];
  /** A file that lists more inputs, one per line; "-" for standard input. */
  readonly filesFrom?: string;
  /** The file of results to append to. */
  readonly resume?: string;
  /** The part of the inputs to classify; undefined for all. */
  readonly shard?: Shard;
  /** What explain and --show do; undefined for others. */
  readonly explain?: ExplainArgs;
  /** How to show pictures in the terminal; undefined to show none. */
  readonly show?: typeof showModes[number];
  readonly topK: number;
  readonly format: "text" | "json" | "jsonl";
  /** Whether classify prints the features of images instead of their classes. */
  readonly features?: boolean;
  /** The file for features, or for the page of evaluate; undefined for standard output. */
  readonly output?: string;
  /** What serve does; undefined for other commands. */
  readonly serve?: ServeArgs;
}

/** Where a server listens, and its limits; undefined for the defaults. */
export interface ServeArgs {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Maximum pixels of a photo. */
  readonly maxPixels?: number;
  /** Maximum bytes of a photo. */
  readonly maxBytes?: number;
  /** Memory in bytes for all photos at once. */
  readonly memory?: number;
  /** Origin whose pages may post photos. */
  readonly cors?: string;
}

/** Options that may come before the command. */
const globalOptions = ["-q", "--quiet", "-v", "--verbose", "--no-color"];

/** Arguments that {@linkcode readExplain} reads, which is loaded only for them. */
const explaining = /^(explain|--(show|show-as|class|method)(=.*)?)$/s;

/** Parses the arguments of any command; throws a {@linkcode UsageError} if they are invalid. */
export async function readCommand(args: readonly string[]): Promise<Command> {
  const at = args.findIndex((arg) => !globalOptions.includes(arg)), first = args[at];
  const weightsCommand = weightsCommands.find((name) => name === first);
  if (!weightsCommand && first !== "learn") {
    if (!args.some((arg) => explaining.test(arg))) return readArgs(args);
    const { readExplain } = await import("./args_explain.ts");
    return readArgs(args, readExplain);
  }
  const asked = args.find((arg) => ["-h", "--help", "--version"].includes(arg));
  if (asked === "--version") return { command: "version" };
  if (asked !== undefined) return { command: "help", topic: first };
  const rest = args.toSpliced(at, 1);
  if (weightsCommand) {
    const { readWeightsArgs } = await import("./args_weights.ts");
    return readWeightsArgs(weightsCommand, rest);
  }
  const { readLearnArgs } = await import("./args_learn.ts");
  return readLearnArgs(rest);
}

/**
 * Parses the arguments of the commands that run a model, of help and of version.
 *
 * @param readOwn Reads what only explain and --show have.
 * @throws {UsageError} When they are invalid.
 */
export function readArgs(
  args: readonly string[],
  readOwn?: typeof readExplain,
): Options | HelpArgs | VersionArgs {
  const { values, positionals } = parseStrictly(args, options);
  const named = modelCommands.find((name) => name === positionals[0]);
  const inputs = named ? positionals.slice(1) : positionals;
  const asksHelp = !named && inputs[0] === "help"; // a file of this name is ./help
  if (asksHelp) return { command: "help", topic: topicOf(inputs[1]) };
  if (values.help) return { command: "help", topic: named ?? inputs[0] };
  if (values.version) return { command: "version" };

  const command = named ?? "classify";
  // before other errors: without its number, the option takes the name of the photo
  const topK = positive("--top-k", values["top-k"] ?? "5");
  checkOptions(command, values);
  checkInputs(command, values, inputs);
  return {
    command,
    inputs,
    filesFrom: values["files-from"],
    resume: values.resume,
    shard: ifGiven("--shard", values.shard, shardOf),
    model: values.model,
    weights: values.weights,
    base: values.base,
    classes: values.classes,
    preprocessing: ifGiven("--preprocessing", values.preprocessing, preprocessingOf),
    seed: values.random ? seedOf(values.seed) : undefined,
    topK,
    backend: oneOf("--backend", values.backend ?? "auto", devices),
    precision: ifGiven("--precision", values.precision, precisionOf),
    features: values.features,
    output: outputOf(command, values),
    serve: command === "serve" ? serveArgs(values) : undefined,
    ...readOwn?.(command, values, inputs),
    format: values.json ? "json" : values.jsonl || values.resume !== undefined ? "jsonl" : "text",
    offline: values.offline,
    quiet: values.quiet,
    verbose: values.verbose,
  };
}

/** The command that `help` is asked for. */
function topicOf(name: string | undefined): string | undefined {
  if (name === undefined || name === "help" || commands.includes(name)) return name;
  const similar = nearest(name, commands);
  const hint = similar === undefined ? "see --help" : `did you mean ${similar}?`;
  throw new UsageError(`there is no command ${JSON.stringify(name)}; ${hint}`);
}

type Values = ReturnType<typeof parseStrictly<typeof options>>["values"];

/** Throws a {@linkcode UsageError} if the options do not fit the command or each other. */
function checkOptions(command: typeof modelCommands[number], values: Values): void {
  checkUsed(command, values);
  exclude(values, "random", "weights");
  exclude(values, "json", "jsonl");
  exclude(values, "json", "resume");
  exclude(values, "quiet", "verbose");
  for (const other of ["classes", "json", "resume", "top-k"] as const) {
    exclude(values, "features", other);
  }
  if (values.features) exclude(values, "output", "jsonl");
  if (values.seed !== undefined && !values.random) {
    throw new UsageError("--seed needs --random");
  }
  for (const name of ["weights", "base"] as const) checkNotEmpty(values, name, "a file or URL");
  for (const name of ["classes", "files-from", "resume", "html"] as const) {
    checkNotEmpty(values, name, "a file");
  }
  if (/\.(png|jpe?g|webp|gif|bmp)$/i.test(values.html ?? "")) {
    throw invalidValue("--html", values.html!, "end in .html");
  }
  if (values.base !== undefined && !values.weights) {
    throw new UsageError("--base needs --weights, a file with only a last layer");
  }
}

/** Throws a {@linkcode UsageError} if a command does not take these inputs, or this number of them. */
function checkInputs(
  command: typeof modelCommands[number],
  values: Values,
  inputs: readonly string[],
): void {
  if (inputs.includes("")) throw new UsageError("an input is empty; is a variable unset?");
  if ((command === "summary" || command === "serve") && inputs.length > 0) {
    const input = JSON.stringify(inputs[0]);
    throw new UsageError(
      `${command} takes no images, got ${input}; name a model with -m or --weights`,
    );
  }
  if (command === "evaluate" && inputs.length !== 1) {
    throw new UsageError("evaluate takes one folder, with a subfolder of photos for each class");
  }
  if (command !== "classify") return;
  const list = values["files-from"];
  if (inputs.length === 0 && list === undefined) {
    throw new UsageError("no image given; see --help");
  }
  if (inputs.filter((input) => input === "-").length + Number(list === "-") > 1) {
    throw new UsageError("- and --files-from - read standard input; use only one of them, once");
  }
  if (values.resume !== undefined && inputs.includes("-")) {
    throw new UsageError(
      "--resume cannot tell one image of standard input from another; use files",
    );
  }
}

/** The file of --features, or that of --html. Explain has both, and reads them itself. */
function outputOf(
  command: Options["command"],
  { features, output, html }: Values,
): string | undefined {
  if (command === "explain") return undefined;
  if (output !== undefined && !features) {
    throw new UsageError("--output is only for learn, explain, quantize and classify --features");
  }
  if (output !== undefined && !/.\.npy$/i.test(output)) {
    throw invalidValue("--output", output, "end in .npy");
  }
  return output ?? html;
}

/** A seed of 32 bits; a random one by default. */
function seedOf(text: string | undefined): number {
  if (text === undefined) return crypto.getRandomValues(new Uint32Array(1))[0];
  return integer("--seed", text, 2 ** 32 - 1);
}

/** "3/16" is the third of sixteen parts. */
function shardOf(option: string, text: string): Shard {
  const [, number, count] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (1 <= number && number <= count && Number.isSafeInteger(count)) return { number, count };
  throw invalidValue(option, text, "be N/M with N from 1 to M, such as 3/16");
}

function precisionOf(option: string, text: string): typeof precisions[number] {
  return oneOf(option, text, precisions);
}

function serveArgs(values: Values): ServeArgs {
  return {
    host: values.host ?? "127.0.0.1",
    port: integer("--port", values.port ?? "8000", 2 ** 16 - 1),
    maxPixels: ifGiven("--max-pixels", values["max-pixels"], positive),
    maxBytes: ifGiven("--max-bytes", values["max-bytes"], bytesOf),
    memory: ifGiven("--memory", values.memory, bytesOf),
    cors: ifGiven("--cors", values.cors, originOf),
  };
}

const units: Readonly<Record<string, number>> = {
  "": 1,
  "kb": 1e3,
  "mb": 1e6,
  "gb": 1e9,
  "kib": 2 ** 10,
  "mib": 2 ** 20,
  "gib": 2 ** 30,
};

/** A number of bytes, with or without a unit. */
function bytesOf(option: string, text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([kmg]i?b)?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(digits) * units[unit?.toLowerCase() ?? ""]);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw invalidValue(option, text, "be a number of bytes, such as 20MB");
}

/** An origin, without the path of a URL; or "*". */
function originOf(option: string, text: string): string {
  if (text === "*") return text;
  const origin = URL.canParse(text) ? new URL(text).origin : "null";
  if (origin !== "null" && (text === origin || text === `${origin}/`)) return origin;
  throw invalidValue(option, text, "be * or an origin, such as https://example.org");
}

/** Parses the JSON of `--preprocessing`. The model checks its values. */
function preprocessingOf(option: string, text: string): Partial<Preprocessing> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch { // the error below
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const name of Object.keys(value)) {
      oneOf(`a field of ${option}`, name, preprocessingNames);
    }
    return value;
  }
  throw invalidValue(option, text, 'be a JSON object such as {"crop":227}');
}
