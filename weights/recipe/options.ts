/** The recipe's numbers, and the command line that changes them. */

import type { Augmentation } from "./augment.ts";
import { parseOptions, UsageError } from "./task.ts";

/** Everything that the result of a run follows from, besides the data and the build. */
export interface Recipe {
  readonly epochs: number;
  readonly batch: number;
  /** The largest learning rate: it grows to it, then falls along half a cosine. */
  readonly lr: number;
  /** Epochs in which it grows. */
  readonly warmUp: number;
  readonly momentum: number;
  /** Of weights; biases and batch normalisation are left alone. */
  readonly weightDecay: number;
  readonly labelSmoothing: number;
  readonly dropout: number;
  readonly seed: number;
  /** Images taken of each class; 0 takes all. */
  readonly perClass: number;
  readonly augmentation: Augmentation;
}

/** What the shipped weights were trained with. */
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

/** How a run is done; none of it changes the numbers. */
export interface Options {
  readonly data: string;
  readonly out: string;
  readonly threads: number | "auto";
  readonly resume: boolean;
  /** The run ends after so many epochs, though the schedule is for more. */
  readonly stop: number;
  /** Minutes between checkpoints within an epoch. */
  readonly every: number;
  /** The numbers of the recipe that were given. */
  readonly given: Partial<Recipe>;
}

export const usage = `\
Trains alexnet-tiny on sheets of Tiny ImageNet, through this library's own kernels.

Usage: deno task train --data FOLDER [options]

Options:
      --data FOLDER  holds classes.tsv, and train/ and val/ with a sheet <wnid>.jpg for each class
      --out FOLDER   where checkpoint.safetensors and log.tsv go (default runs/alexnet-tiny)
      --resume       go on with the checkpoint in that folder, if there is one
      --threads N    threads that compute; auto takes all (the default)
      --stop N       end after epoch N, though the learning rate is planned for all of them
      --every N      minutes between checkpoints (default 5); each epoch ends with one, too

The recipe, which a resumed run takes from its checkpoint:
      --epochs N     passes over the data (default ${defaultRecipe.epochs})
      --batch N      images of a step (default ${defaultRecipe.batch})
      --lr X         the largest learning rate (default ${defaultRecipe.lr})
      --seed N       seed of everything random (default ${defaultRecipe.seed})
      --dropout X    probability of dropout (default ${defaultRecipe.dropout})
      --per-class N  take only N images of each class from both, to try things out
  -h, --help         print this`;

/** Reads the arguments; undefined when help was asked for. */
export function readArgs(args: readonly string[]): Options | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  if (!values.data) throw new UsageError("no data given; add --data FOLDER, --help shows more");
  const given: Record<string, number> = {};
  for (const [field, option] of numbers) {
    const text = values[option];
    if (text === undefined) continue;
    const whole = option !== "lr" && option !== "dropout";
    given[field] = whole ? integer(option, text, leasts[option] ?? 1) : share(option, text);
  }
  return {
    data: values.data,
    out: values.out,
    threads: values.threads === "auto" ? "auto" : integer("threads", values.threads, 1),
    resume: values.resume,
    stop: values.stop === undefined ? Infinity : integer("stop", values.stop, 1),
    every: integer("every", values.every, 1),
    given,
  };
}

/** Numbers of the recipe and their options. */
const numbers = [
  ["epochs", "epochs"],
  ["batch", "batch"],
  ["lr", "lr"],
  ["seed", "seed"],
  ["dropout", "dropout"],
  ["perClass", "per-class"],
] as const;
const leasts: Record<string, number> = { seed: 0, batch: 2 };

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

function integer(option: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value < 2 ** 32) return value;
  throw new UsageError(
    `--${option} is ${JSON.stringify(text)}, must be an integer from ${least} on`,
  );
}

function share(option: string, text: string): number {
  const value = Number(text);
  if (/^[\d.]+(e-?\d+)?$/i.test(text) && value >= 0 && value <= 1) return value;
  throw new UsageError(`--${option} is ${JSON.stringify(text)}, must be a number from 0 to 1`);
}
