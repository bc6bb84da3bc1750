/** The command line: what may stand on it, and what it says. */

import { devices } from "../backend/devices.ts";
import { precisions } from "../layers/precision.ts";
import { type Architecture, architectures } from "../models/description.ts";
import {
  readWeightsArgs,
  type WeightsArgs,
  weightsCommands,
  weightsUsage,
} from "./args_weights.ts";
import { oneOf } from "./choices.ts";
import { UsageError } from "./errors.ts";
import type { Shard } from "./inputs.ts";
import { parseStrictly } from "./parse.ts";

/** What may be asked for. */
export type Command = Options | WeightsArgs;

/** What may be asked for about images and models. */
export interface Options {
  readonly command: "classify" | "serve" | "summary" | "help" | "version";
  readonly inputs: readonly string[];
  /** A file that names more of them, a line each; "-" is standard input. */
  readonly filesFrom?: string;
  /** The file of results to go on with. */
  readonly resume?: string;
  /** The part of the inputs to classify; undefined for all. */
  readonly shard?: Shard;
  /** The network; undefined for the one that the weights are for. */
  readonly model?: Architecture;
  /** The file of the weights; undefined for the bundled ones. */
  readonly weights?: string;
  /** The seed of random weights; undefined for weights from a file. */
  readonly seed?: number;
  readonly topK: number;
  readonly backend: typeof devices[number];
  /** Undefined for that of the weights. */
  readonly precision?: typeof precisions[number];
  readonly format: "text" | "json" | "jsonl";
  /** Where a server listens. */
  readonly host: string;
  /** The same; 0 for any port that is free. */
  readonly port: number;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

export const usage = `\
Classifies photographs with AlexNet, on a GPU or on WebAssembly.

Usage: deno run -A cli.ts [classify] [options] <image|folder|glob|url|->…
       deno run -A cli.ts serve [options]
       deno run -A cli.ts summary [options]
       deno run -A cli.ts pull alexnet

Commands:
  classify           print the most probable classes of each image (the default)
  serve              classify photos that are posted to http://127.0.0.1:8000/, several at a time;
                     /healthz and /metrics tell how it is. Stops at SIGINT or SIGTERM, when all
                     that it has accepted is answered
  summary            print a model's layers, parameters and costs

Options:
      --weights FILE weights, a PyTorch .pth of AlexNet, a safetensors file or an ONNX model, or its
                     URL (default: those pulled last, or the bundled ones of alexnet-tiny, which
                     tells 200 classes apart)
      --random       random weights instead, as PyTorch initialises them
      --seed N       the seed of --random, as of torch.manual_seed (default: another every time)
  -m, --model NAME   the model: ${architectures.join(", ")} (default: what the weights are for;
                     alexnet with --random); alexnet-tiny takes the bundled weights
  -k, --top-k N      classes to print for each image (default 5)
      --backend NAME what computes: ${devices.join(", ")} (default auto: a GPU if there is one)
      --precision P  how fully connected weights are held: f32; f16, in half the memory on a GPU
                     (Wasm holds them in 32 bits all the same); or int8, in a quarter of the memory
                     and of the time (default: int8 if they are stored so, f32 otherwise)
      --json         print one JSON document
      --jsonl        print one line of JSON for each image, as it is done
      --resume FILE  add those lines to a file instead: images whose classes are in it are done,
                     those that failed are tried again
      --files-from F classify what the lines of a file name, too; - reads them from standard input
      --shard N/M    classify only part N of M: the image at position i (from 0) is in part
                     (i mod M) + 1, so that M runs over the same inputs share the work
      --host NAME    where serve listens (default 127.0.0.1; 0.0.0.0 for other machines, too)
      --port N       the same (default 8000; 0 for any that is free)
  -q, --quiet        print results and errors only
  -v, --verbose      print milliseconds for each stage
      --no-color     no colours; the same as NO_COLOR=1
  -h, --help         print this
      --version      print the version

An image is a JPEG, PNG, WebP, GIF or BMP; - reads one from standard input. Of a folder, all images
in it and below are taken. A pattern (in quotes) knows * ? [abc] {a,b} and ** for any folders. What
begins with a dash goes after --, or as ./-name. Results go to standard output, everything else to
standard error. Exits with 0, with 1 if an input failed, with 2 for wrong usage or a missing
permission.

${weightsUsage}`;

/** What may stand before a command, too. */
const everywhere = ["-q", "--quiet", "--no-color"];

/** Reads the arguments of any command. */
export function readCommand(args: readonly string[]): Command {
  const at = args.findIndex((arg) => !everywhere.includes(arg));
  const command = weightsCommands.find((name) => name === args[at]);
  if (!command) return readArgs(args);
  if (args.includes("--help") || args.includes("-h")) return readArgs(["--help"]);
  return readWeightsArgs(command, args.toSpliced(at, 1));
}

/** Reads the arguments about images and models; throws a {@linkcode UsageError} that says what is wrong with them. */
export function readArgs(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  const inputs = [...positionals];
  const [first] = inputs;
  const named = first === "classify" || first === "serve" || first === "summary";
  if (named) inputs.shift();
  const command = values.help ? "help" : values.version ? "version" : named ? first : "classify";

  if (command !== "help" && command !== "version") {
    exclude(values, "random", "weights");
    exclude(values, "json", "jsonl");
    exclude(values, "json", "resume");
    exclude(values, "quiet", "verbose");
    if (values.seed !== undefined && !values.random) {
      throw new UsageError("--seed goes with --random");
    }
    const listening = values.host !== undefined || values.port !== undefined;
    if (listening && command !== "serve") throw new UsageError("--host and --port go with serve");
    const { "files-from": filesFrom, resume, shard } = values;
    const bulk = [filesFrom, resume, shard].some((value) => value !== undefined);
    if (bulk && command !== "classify") {
      throw new UsageError("--files-from, --resume and --shard are only for classify");
    }
    if (values.weights === "") throw new UsageError("--weights is empty, must be a file");
  }
  if ((command === "summary" || command === "serve") && inputs.length > 0) {
    throw new UsageError(`${command} takes no input, got ${JSON.stringify(inputs[0])}`);
  }
  if (command === "classify") {
    const list = values["files-from"];
    if (inputs.length === 0 && list === undefined) {
      throw new UsageError("no image given; --help shows how");
    }
    if (inputs.includes("-") && list === "-") {
      throw new UsageError("- is an image and --files-from - a list: standard input is only one");
    }
    if (inputs.includes("")) throw new UsageError("an input is empty; a variable without a value?");
  }
  return {
    command,
    inputs,
    filesFrom: values["files-from"],
    resume: values.resume,
    shard: values.shard === undefined ? undefined : shardOf(values.shard),
    model: values.model === undefined ? undefined : oneOf("--model", values.model, architectures),
    weights: values.weights,
    seed: values.random ? seedOf(values.seed) : undefined,
    topK: integer("--top-k", values["top-k"], 1),
    backend: oneOf("--backend", values.backend, devices),
    precision: values.precision === undefined
      ? undefined
      : oneOf("--precision", values.precision, precisions),
    host: values.host ?? "127.0.0.1",
    port: portOf(values.port ?? "8000"),
    format: values.json ? "json" : values.jsonl || values.resume !== undefined ? "jsonl" : "text",
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
      "precision": { type: "string" },
      "host": { type: "string" },
      "port": { type: "string" },
      "files-from": { type: "string" },
      "resume": { type: "string" },
      "shard": { type: "string" },
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

/** "3/16" is the third of sixteen parts. */
function shardOf(text: string): Shard {
  const [, number, count] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (1 <= number && number <= count && Number.isSafeInteger(count)) return { number, count };
  throw new UsageError(
    `--shard is ${JSON.stringify(text)}, must be N/M with N from 1 to M, such as 3/16`,
  );
}

function portOf(text: string): number {
  const port = integer("--port", text, 0);
  if (port < 2 ** 16) return port;
  throw new UsageError(`--port is "${text}", must be less than 65536`);
}

function integer(option: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`${option} is ${JSON.stringify(text)}, must be an integer from ${least} on`);
}
