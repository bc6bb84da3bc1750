/**
 * The options of the training task.
 *
 * @module
 */

import { networks } from "./networks.ts";
import { defaultNetwork, type Recipe, type RecipeNetwork, recipes } from "./recipe.ts";
import { parseOptions, UsageError } from "./task.ts";

/** The options of a run. Except for `overrides`, they do not change its result. */
export interface Options {
  readonly data: string;
  readonly out: string;
  readonly threads: number | "auto";
  readonly resume: boolean;
  /** The run stops after this epoch, even if the schedule has more. */
  readonly stop: number;
  /** Minutes between checkpoints within an epoch. */
  readonly every: number;
  /** The hyperparameters set on the command line. */
  readonly overrides: Partial<Recipe>;
}

const { epochs, batch, lr, seed, dropout, holdOut } = recipes[defaultNetwork];

export const usage = `\
Trains a network on Tiny ImageNet, with this library's own kernels.

Usage: deno task train --data FOLDER [options]

Options:
      --data FOLDER  the data: classes.tsv, and a sheet <wnid>.jpg per class in train/ and val/
      --network NAME ${Object.keys(networks).join(" or ")} (default ${defaultNetwork})
      --out FOLDER   folder for checkpoint.safetensors and log.tsv (default runs/NAME)
      --resume       continue from the checkpoint in the --out folder, if there is one
      --threads N    number of threads, or auto for all processors (default auto)
      --stop N       stop after epoch N; the learning rate follows the schedule of all epochs
      --every N      minutes between checkpoints (default 5); each epoch ends with one, too

Recipe (a resumed run takes it from its checkpoint; the defaults are those of ${defaultNetwork}):
      --epochs N     passes over the data, without warm restarts (default ${epochs})
      --batch N      images per step (default ${batch})
      --lr X         highest learning rate (default ${lr})
      --seed N       random seed (default ${seed})
      --dropout X    probability of dropout (default ${dropout})
      --hold-out N   last images of each class to calibrate with, not to train on (default ${holdOut})
      --per-class N  use only N images per class, for a quick test
  -h, --help         print this help`;

/** Reads the arguments. Returns undefined for --help. */
export function readArgs(args: readonly string[]): Options | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  if (!values.data) throw new UsageError("--data FOLDER is missing; --help lists the options");
  const overrides: Record<string, unknown> = {};
  const network = values.network === undefined ? undefined : readNetwork(values.network);
  if (network !== undefined) overrides.network = network;
  for (const [field, option] of recipeOptions) {
    const text = values[option];
    if (text === undefined) continue;
    const isInteger = option !== "lr" && option !== "dropout";
    overrides[field] = isInteger
      ? parseInteger(option, text, minimums[option] ?? 1)
      : parseFraction(option, text);
  }
  if (overrides.epochs !== undefined) overrides.restarts = [];
  return {
    data: values.data,
    out: values.out ?? `runs/${network ?? defaultNetwork}`,
    threads: values.threads === "auto" ? "auto" : parseInteger("threads", values.threads, 1),
    resume: values.resume,
    stop: values.stop === undefined ? Infinity : parseInteger("stop", values.stop, 1),
    every: parseInteger("every", values.every, 1),
    overrides,
  };
}

/** The hyperparameters with an option. */
const recipeOptions = [
  ["epochs", "epochs"],
  ["batch", "batch"],
  ["lr", "lr"],
  ["seed", "seed"],
  ["dropout", "dropout"],
  ["perClass", "per-class"],
  ["holdOut", "hold-out"],
] as const;
/** The least values of integer options, if not 1. */
const minimums: Record<string, number> = { "seed": 0, "batch": 2, "hold-out": 0 };

function parse(args: readonly string[]) {
  return parseOptions({
    args: [...args],
    options: {
      "data": { type: "string" },
      "network": { type: "string" },
      "out": { type: "string" },
      "resume": { type: "boolean", default: false },
      "threads": { type: "string", default: "auto" },
      "stop": { type: "string" },
      "every": { type: "string", default: "5" },
      "epochs": { type: "string" },
      "batch": { type: "string" },
      "lr": { type: "string" },
      "seed": { type: "string" },
      "dropout": { type: "string" },
      "per-class": { type: "string" },
      "hold-out": { type: "string" },
      "help": { type: "boolean", short: "h", default: false },
    },
  }).values;
}

/** Checks the name of a network. */
export function readNetwork(name: string): RecipeNetwork {
  if (Object.hasOwn(networks, name)) return name as RecipeNetwork;
  const names = Object.keys(networks).join(" or ");
  throw new UsageError(`--network is ${JSON.stringify(name)}, must be ${names}`);
}

function parseInteger(option: string, text: string, minimum: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= minimum && value < 2 ** 32) return value;
  throw new UsageError(
    `--${option} is ${JSON.stringify(text)}, must be an integer of at least ${minimum}`,
  );
}

function parseFraction(option: string, text: string): number {
  const value = Number(text);
  if (/^[\d.]+(e-?\d+)?$/i.test(text) && value >= 0 && value <= 1) return value;
  throw new UsageError(`--${option} is ${JSON.stringify(text)}, must be a number from 0 to 1`);
}
