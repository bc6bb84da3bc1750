/** The hyperparameters of the recipe, and the options of the training task. */

import type { Augmentation } from "./augment.ts";
import { parseOptions, UsageError } from "./task.ts";

/** All hyperparameters. With the same data and build, they determine the result of a run. */
export interface Recipe {
  readonly epochs: number;
  readonly batch: number;
  /** The highest learning rate, after the warm-up. */
  readonly lr: number;
  /** Epochs of warm-up. */
  readonly warmUp: number;
  readonly momentum: number;
  /** Weight decay of weights. Biases and batch normalisation have none. */
  readonly weightDecay: number;
  readonly labelSmoothing: number;
  readonly dropout: number;
  readonly seed: number;
  /** Images per class. 0 means all. */
  readonly perClass: number;
  readonly augmentation: Augmentation;
}

/** The recipe of the bundled weights. */
export const defaultRecipe: Recipe = {
  epochs: 7,
  batch: 64,
  lr: 0.06,
  warmUp: 0.5,
  momentum: 0.9,
  weightDecay: 5e-4,
  labelSmoothing: 0.1,
  dropout: 0.1,
  seed: 1,
  perClass: 0,
  augmentation: {
    scale: [0.7, 1],
    ratio: [3 / 4, 4 / 3],
    flip: 0.5,
    brightness: 0.1,
    contrast: 0.1,
    saturation: 0.1,
  },
};

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

export const usage = `\
Trains alexnet-tiny on Tiny ImageNet, with this library's own kernels.

Usage: deno task train --data FOLDER [options]

Options:
      --data FOLDER  the data: classes.tsv, and a sheet <wnid>.jpg per class in train/ and val/
      --out FOLDER   folder for checkpoint.safetensors and log.tsv (default runs/alexnet-tiny)
      --resume       continue from the checkpoint in the --out folder, if there is one
      --threads N    number of threads, or auto for all processors (default auto)
      --stop N       stop after epoch N; the learning rate follows the schedule of all epochs
      --every N      minutes between checkpoints (default 5); each epoch ends with one, too

Recipe (a resumed run takes it from its checkpoint):
      --epochs N     passes over the data (default ${defaultRecipe.epochs})
      --batch N      images per step (default ${defaultRecipe.batch})
      --lr X         highest learning rate (default ${defaultRecipe.lr})
      --seed N       random seed (default ${defaultRecipe.seed})
      --dropout X    probability of dropout (default ${defaultRecipe.dropout})
      --per-class N  use only N images per class, for a quick test
  -h, --help         print this help`;

/** Reads the arguments. Returns undefined for --help. */
export function readArgs(args: readonly string[]): Options | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  if (!values.data) throw new UsageError("--data FOLDER is missing; --help lists the options");
  const overrides: Record<string, number> = {};
  for (const [field, option] of recipeOptions) {
    const text = values[option];
    if (text === undefined) continue;
    const isInteger = option !== "lr" && option !== "dropout";
    overrides[field] = isInteger
      ? parseInteger(option, text, minimums[option] ?? 1)
      : parseFraction(option, text);
  }
  return {
    data: values.data,
    out: values.out,
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
] as const;
/** The least values of integer options, if not 1. */
const minimums: Record<string, number> = { seed: 0, batch: 2 };

function parse(args: readonly string[]) {
  return parseOptions({
    args: [...args],
    options: {
      "data": { type: "string" },
      "out": { type: "string", default: "runs/alexnet-tiny" },
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
      "help": { type: "boolean", short: "h", default: false },
    },
  }).values;
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
