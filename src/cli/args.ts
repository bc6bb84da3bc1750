/** The command line: what may stand on it, and what it says. */

import { devices } from "../backend/devices.ts";
import { precisions } from "../layers/precision.ts";
import { type Architecture, architectures } from "../models/description.ts";
import { UsageError } from "./errors.ts";
import { parseStrictly } from "./parse.ts";

export interface Options {
  readonly command: "classify" | "summary" | "help" | "version";
  readonly inputs: readonly string[];
  /** The network; undefined for the one that the weights are for. */
  readonly model?: Architecture;
  /** The file of the weights; undefined for the bundled ones. */
  readonly weights?: string;
  /** The seed of random weights; undefined for weights from a file. */
  readonly seed?: number;
  readonly topK: number;
  readonly backend: typeof devices[number];
  readonly precision: typeof precisions[number];
  readonly format: "text" | "json" | "jsonl";
  readonly quiet: boolean;
  readonly verbose: boolean;
}

export const usage = `\
Classifies photographs with AlexNet, on a GPU or on WebAssembly.

Usage: deno run -A cli.ts [classify] [options] <image|folder|glob|url|->…
       deno run -A cli.ts summary [options]

Commands:
  classify           print the most probable classes of each image (the default)
  summary            print a model's layers, parameters and costs

Options:
      --weights FILE weights, a PyTorch .pth of AlexNet or a safetensors file, instead of the
                     bundled ones of alexnet-tiny, which tells 200 classes apart
      --random       random weights instead, as PyTorch initialises them
      --seed N       the seed of --random, as of torch.manual_seed (default: another every time)
  -m, --model NAME   the model: ${architectures.join(", ")} (default: what the weights are for;
                     alexnet with --random)
  -k, --top-k N      classes to print for each image (default 5)
      --backend NAME what computes: ${devices.join(", ")} (default auto: a GPU if there is one)
      --precision P  f32 (the default), or int8: fully connected weights rounded to 8 bits, which
                     take a quarter of the memory and of the time
      --json         print one JSON document
      --jsonl        print one line of JSON for each image, as it is done
  -q, --quiet        print results and errors only
  -v, --verbose      print milliseconds for each stage
      --no-color     no colours; the same as NO_COLOR=1
  -h, --help         print this
      --version      print the version

An image is a JPEG, PNG, WebP, GIF or BMP; - reads one from standard input. Of a folder, all images
in it and below are taken. A pattern (in quotes) knows * ? [abc] {a,b} and ** for any folders. What
begins with a dash goes after --, or as ./-name. Results go to standard output, everything else to
standard error. Exits with 0, with 1 if an input failed, with 2 for wrong usage or a missing
permission.`;

/** Where PyTorch keeps its AlexNet. */
export const alexnetUrl = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth";

/** Reads the arguments; throws a {@linkcode UsageError} that says what is wrong with them. */
export function readArgs(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  const inputs = [...positionals];
  const [first] = inputs;
  const named = first === "classify" || first === "summary";
  if (named) inputs.shift();
  const command = values.help ? "help" : values.version ? "version" : named ? first : "classify";

  if (command === "classify" || command === "summary") {
    exclude(values, "random", "weights");
    exclude(values, "json", "jsonl");
    exclude(values, "quiet", "verbose");
    if (values.seed !== undefined && !values.random) {
      throw new UsageError("--seed goes with --random");
    }
    if (values.weights === "") throw new UsageError("--weights is empty, must be a file");
  }
  if (command === "summary" && inputs.length > 0) {
    throw new UsageError(`summary takes no input, got ${JSON.stringify(inputs[0])}`);
  }
  if (command === "classify") {
    if (inputs.length === 0) throw new UsageError("no image given; --help shows how");
    if (inputs.includes("")) throw new UsageError("an input is empty; a variable without a value?");
    if (values.model === "alexnet" && values.weights === undefined && !values.random) {
      throw new UsageError(
        `no weights given; download ${alexnetUrl} and add --weights alexnet-owt-7be5be79.pth, ` +
          "or leave out --model alexnet",
      );
    }
  }
  return {
    command,
    inputs,
    model: values.model === undefined ? undefined : oneOf("--model", values.model, architectures),
    weights: values.weights,
    seed: values.random ? seedOf(values.seed) : undefined,
    topK: integer("--top-k", values["top-k"], 1),
    backend: oneOf("--backend", values.backend, devices),
    precision: oneOf("--precision", values.precision, precisions),
    format: values.json ? "json" : values.jsonl ? "jsonl" : "text",
    quiet: values.quiet,
    verbose: values.verbose,
  };
}

function parse(args: readonly string[]) {
  return parseStrictly({
    args: [...args],
    allowPositionals: true,
    options: {
      "model": { type: "string", short: "m" },
      "weights": { type: "string" },
      "random": { type: "boolean", default: false },
      "seed": { type: "string" },
      "top-k": { type: "string", short: "k", default: "5" },
      "backend": { type: "string", default: "auto" },
      "precision": { type: "string", default: "f32" },
      "json": { type: "boolean", default: false },
      "jsonl": { type: "boolean", default: false },
      "quiet": { type: "boolean", short: "q", default: false },
      "verbose": { type: "boolean", short: "v", default: false },
      "no-color": { type: "boolean", default: false },
      "help": { type: "boolean", short: "h", default: false },
      "version": { type: "boolean", default: false },
    },
  });
}

function exclude<K extends string>(values: { readonly [name in K]?: unknown }, a: K, b: K): void {
  if (values[a] && values[b]) throw new UsageError(`--${a} and --${b} exclude each other`);
}

/** 32 bits count; without one, another every time. */
function seedOf(text: string | undefined): number {
  if (text === undefined) return crypto.getRandomValues(new Uint32Array(1))[0];
  const seed = integer("--seed", text, 0);
  if (seed >= 2 ** 32) throw new UsageError(`--seed is "${text}", must be less than 4294967296`);
  return seed;
}

function integer(option: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`${option} is ${JSON.stringify(text)}, must be an integer from ${least} on`);
}

function oneOf<T extends string>(option: string, text: string, names: readonly T[]): T {
  if ((names as readonly string[]).includes(text)) return text as T;
  throw new UsageError(`${option} is ${JSON.stringify(text)}, must be ${names.join(" or ")}`);
}
