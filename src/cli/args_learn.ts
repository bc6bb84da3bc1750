/** Parses the arguments of learn. */

import { devices } from "../backend/devices.ts";
import { type StoredPrecision, storedPrecisions } from "../weights/stored.ts";
import {
  checkNotEmpty,
  exclude,
  ifGiven,
  integer,
  invalidValue,
  oneOf,
  positive,
} from "./choices.ts";
import { UsageError } from "./errors.ts";
import { parseStrictly } from "./parse.ts";

/** `cli.ts learn FOLDER -o FILE`. */
export interface LearnArgs {
  readonly command: "learn";
  /** The folder with a subfolder of photos for each class. */
  readonly folder: string;
  /** The file to write. */
  readonly output: string;
  /** The network to start from: a name, a file or a URL; undefined for the default one. */
  readonly from?: string;
  /** The network that `from` belongs to, if that has only a last layer; undefined for a cached one. */
  readonly base?: string;
  /** The number of last blocks to train, too. */
  readonly fineTune: number | "all";
  /** Passes over the photos for `fineTune`. */
  readonly epochs: number;
  /** The share of each class to measure on. */
  readonly holdout: number;
  /** A folder of photos to measure on, instead of a share. */
  readonly val?: string;
  /** The number of parts to measure on in turn, instead of one share. */
  readonly folds?: number;
  readonly seed: number;
  readonly precision: StoredPrecision;
  /** Whether to store only the new layer. */
  readonly headOnly: boolean;
  readonly backend: typeof devices[number];
  readonly offline: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

export const learnUsage = `\
Learn options (also --backend and --offline; the folder needs a subfolder of
photos for each class):
  -o, --output FILE      the file to write, which ends in .safetensors
      --from NAME        the network to start from: a name that pull takes, a
                         file or a URL (default: as for classify)
      --base FILE        the network that --from was trained on, if that file
                         is one of --head-only
      --fine-tune N      also train the last N blocks of the network, or all
      --epochs N         passes over the photos for --fine-tune (default 10)
      --holdout SHARE    the share of each class to measure on (default 0.2);
                         the file is trained on all photos
      --val FOLDER       measure on these photos instead
      --folds N          measure on all photos: split them into N parts, and
                         train N times on all parts but one
      --seed N           seed of all random choices (default 0); the same seed
                         and photos give the same file
      --precision P      store weights as f32, f16 or int8 (default f16)
      --head-only        store only the new layer; to load the file, you need
                         the network that you started from`;

const options = {
  "output": { type: "string", short: "o" },
  "from": { type: "string" },
  "base": { type: "string" },
  "fine-tune": { type: "string", default: "0" },
  "epochs": { type: "string" },
  "holdout": { type: "string" },
  "val": { type: "string" },
  "folds": { type: "string" },
  "seed": { type: "string", default: "0" },
  "precision": { type: "string", default: "f16" },
  "head-only": { type: "boolean", default: false },
  "backend": { type: "string", default: "auto" },
  "offline": { type: "boolean", default: false },
  "quiet": { type: "boolean", short: "q", default: false },
  "verbose": { type: "boolean", short: "v", default: false },
  "no-color": { type: "boolean", default: false },
} as const;

/**
 * Parses the arguments that follow the command's name.
 *
 * @throws {UsageError} When they are invalid.
 */
export function readLearnArgs(args: readonly string[]): LearnArgs {
  const { values, positionals: [folder, ...more] } = parseStrictly(args, options, "learn");
  if (!folder || more.length > 0) {
    throw new UsageError("learn takes one folder, with a subfolder of photos for each class");
  }
  const { from, base, val, offline, quiet, verbose } = values;
  const output = outputOf(values.output);
  checkNotEmpty(values, "from", "a name, a file or a URL");
  checkNotEmpty(values, "base", "a file or URL");
  checkNotEmpty(values, "val", "a folder");
  if (base !== undefined && from === undefined) {
    throw new UsageError("--base needs --from, a file with only a last layer");
  }
  exclude(values, "holdout", "val");
  exclude(values, "holdout", "folds");
  exclude(values, "val", "folds");
  exclude(values, "quiet", "verbose");
  const fineTune = values["fine-tune"] === "all"
    ? "all"
    : integer("--fine-tune", values["fine-tune"], 1000, ", or all");
  if (fineTune === 0 && values.epochs !== undefined) {
    throw new UsageError("--epochs needs --fine-tune");
  }
  if (fineTune !== 0 && values["head-only"]) {
    throw new UsageError("--fine-tune and --head-only cannot be combined");
  }
  return {
    command: "learn",
    folder,
    output,
    from,
    base,
    fineTune,
    epochs: positive("--epochs", values.epochs ?? "10"),
    holdout: share("--holdout", values.holdout ?? "0.2"),
    val,
    folds: ifGiven("--folds", values.folds, twoOrMore),
    seed: integer("--seed", values.seed, 2 ** 32 - 1),
    precision: oneOf("--precision", values.precision, storedPrecisions),
    headOnly: values["head-only"],
    backend: oneOf("--backend", values.backend, devices),
    offline,
    quiet,
    verbose,
  };
}

function outputOf(output: string | undefined): string {
  if (!output) throw new UsageError("learn needs -o FILE, the file to write");
  if (/.\.safetensors$/i.test(output)) return output;
  throw invalidValue("--output", output, "end in .safetensors");
}

function twoOrMore(option: string, text: string): number {
  const value = positive(option, text);
  if (value > 1) return value;
  throw invalidValue(option, text, "be 2 or more");
}

/** A number above 0 and below 1. */
function share(option: string, text: string): number {
  const value = Number(text);
  if (/^[\d.]+$/.test(text) && value > 0 && value < 1) return value;
  throw invalidValue(option, text, "be a number between 0 and 1, such as 0.2");
}
