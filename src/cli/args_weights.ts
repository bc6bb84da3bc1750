/** Parses the arguments of pull, models, rm, convert and quantize. */

import { type OutputFormat, type StoredPrecision, storedPrecisions } from "../weights/stored.ts";
import { checkNotEmpty, invalidValue, oneOf } from "./choices.ts";
import { UsageError } from "./errors.ts";
import { isWebUrl } from "./inputs.ts";
import type { weightsCommands } from "./options.ts";
import { parseStrictly } from "./parse.ts";

/** `cli.ts pull NAME`. */
export interface PullArgs {
  readonly command: "pull";
  readonly name: string;
  readonly precision: StoredPrecision;
  /** The URL to download from instead of the catalogue's. */
  readonly url?: string;
  /** The SHA-256 to expect instead of the catalogue's. */
  readonly sha256?: string;
  /** Milliseconds without data before a retry. */
  readonly stallMs: number;
  readonly retries: number;
  readonly quiet: boolean;
}

/** `cli.ts models`. */
export interface ModelsArgs {
  readonly command: "models";
  readonly json: boolean;
}

/** `cli.ts rm NAME`. */
export interface RemoveArgs {
  readonly command: "rm";
  readonly name: string;
  readonly quiet: boolean;
}

/** `cli.ts convert IN OUT`. */
export interface ConvertArgs {
  readonly command: "convert";
  readonly from: string;
  readonly to: string;
  /** The format of `to`, by its extension. */
  readonly format: OutputFormat;
  readonly precision: StoredPrecision;
  readonly quiet: boolean;
}

/** `cli.ts quantize IN -o OUT`. */
export interface QuantizeArgs {
  readonly command: "quantize";
  readonly from: string;
  readonly to: string;
  /** A folder of sample photos. */
  readonly calibrate?: string;
  /** The network, if the file does not say. */
  readonly model?: string;
  readonly quiet: boolean;
}

export type WeightsArgs = PullArgs | ModelsArgs | RemoveArgs | ConvertArgs | QuantizeArgs;

export const weightsUsage = `\
Pull options (the models command lists the names):
      --precision P      store as f32, f16 or int8 (default f16). f16 has half
                         the size, and predictions differ in the fourth digit.
                         int8 has a quarter, and they differ in the second
      --url URL          download from another address; the file must be the
                         same, or match --sha256. To use a mirror for all files,
                         set PEMBROKE_MIRROR to the URL of its folder
      --sha256 HEX       SHA-256 of the file to expect
      --timeout S        seconds without data before a retry (default 30)
      --retries N        retries without new data before giving up (default 4);
                         to resume, run pull again

Convert options (input: .pth, .net, safetensors or ONNX; output: a name that
ends in .safetensors, .pth, .pt or .onnx):
      --precision P      f32, f16 or int8, as for pull (default f32; int8 needs
                         .safetensors)

Quantize options (input: .pth, .net, safetensors or ONNX):
  -o, --output FILE      the int8 weights; a name that ends in .safetensors
      --calibrate FOLDER a few dozen different photos. Stores the ranges of
                         values in them, so that convolutions need not search
                         each photo, and counts the photos whose most probable
                         class stays the same
  -m, --model NAME       the network, if the input does not say`;

/**
 * Parses the arguments that follow the command's name.
 *
 * @throws {UsageError} When they are invalid.
 */
export function readWeightsArgs(
  command: typeof weightsCommands[number],
  args: readonly string[],
): WeightsArgs {
  return readers[command](args);
}

const readers = {
  pull: readPull,
  models: readModels,
  rm: readRemove,
  convert: readConvert,
  quantize: readQuantize,
};

/** Options of all these commands. */
const shared = {
  "quiet": { type: "boolean", short: "q", default: false },
  "no-color": { type: "boolean", default: false },
} as const;

function readPull(args: readonly string[]): PullArgs {
  const { values, positionals } = parseStrictly(args, {
    precision: { type: "string", default: "f16" },
    url: { type: "string" },
    sha256: { type: "string" },
    timeout: { type: "string", default: "30" },
    retries: { type: "string", default: "4" },
    ...shared,
  }, "pull");
  const { precision, url, sha256, timeout, retries, quiet } = values;
  if (url !== undefined && !isWebUrl(url)) {
    throw invalidValue("--url", url, "be an http or https URL");
  }
  if (sha256 !== undefined && !/^[\da-f]{64}$/i.test(sha256)) {
    throw invalidValue("--sha256", sha256, "be 64 hexadecimal digits");
  }
  const seconds = /^(?!0+(\.0*)?$)\d+(\.\d+)?$/; // not zero
  return {
    command: "pull",
    name: modelName("pull", positionals),
    precision: oneOf("--precision", precision, storedPrecisions),
    url,
    sha256,
    stallMs: 1000 * number("--timeout", timeout, seconds, "a number of seconds"),
    retries: number("--retries", retries, /^\d+$/, "a number of retries"),
    quiet,
  };
}

function readModels(args: readonly string[]): ModelsArgs {
  const { values: { json }, positionals: [extra] } = parseStrictly(args, {
    json: { type: "boolean", default: false },
    ...shared,
  }, "models");
  if (extra !== undefined) {
    throw new UsageError(`models takes no arguments, got ${JSON.stringify(extra)}`);
  }
  return { command: "models", json };
}

function readRemove(args: readonly string[]): RemoveArgs {
  const { values: { quiet }, positionals } = parseStrictly(args, shared, "rm");
  return { command: "rm", name: modelName("rm", positionals), quiet };
}

function readConvert(args: readonly string[]): ConvertArgs {
  const { values, positionals: [from, to, ...more] } = parseStrictly(args, {
    precision: { type: "string", default: "f32" },
    ...shared,
  }, "convert");
  if (!from || !to || more.length > 0) {
    throw new UsageError("convert takes two files, the input and the output");
  }
  const precision = oneOf("--precision", values.precision, storedPrecisions);
  const format = formatOf(to);
  if (precision === "int8" && format !== "safetensors") {
    throw new UsageError(
      `--precision int8 needs a .safetensors output, got ${JSON.stringify(to)}`,
    );
  }
  return { command: "convert", from, to, format, precision, quiet: values.quiet };
}

function readQuantize(args: readonly string[]): QuantizeArgs {
  const { values, positionals: [from, ...more] } = parseStrictly(args, {
    output: { type: "string", short: "o" },
    calibrate: { type: "string" },
    model: { type: "string", short: "m" },
    ...shared,
  }, "quantize");
  const { output: to, calibrate, model, quiet } = values;
  if (!from || !to || more.length > 0) {
    throw new UsageError("quantize takes one file, and --output with another");
  }
  checkNotEmpty(values, "calibrate", "a folder");
  if (formatOf(to) !== "safetensors") {
    throw new UsageError(`quantize needs a .safetensors output, got ${JSON.stringify(to)}`);
  }
  return { command: "quantize", from, to, calibrate, model, quiet };
}

/** The format to write, by the file's extension. */
function formatOf(file: string): OutputFormat {
  const [, extension] = /\.(safetensors|pth|pt|onnx)$/i.exec(file) ?? [];
  switch (extension?.toLowerCase()) {
    case "safetensors":
      return "safetensors";
    case "pth":
    case "pt":
      return "pth";
    case "onnx":
      return "onnx";
    default:
      throw new UsageError(
        `unknown format of ${JSON.stringify(file)}, must end in .safetensors, .pth, .pt or .onnx`,
      );
  }
}

function modelName(command: string, [name, ...more]: readonly string[]): string {
  if (name && more.length === 0) return name;
  throw new UsageError(`${command} takes one model name; the models command lists them`);
}

/** A number of at most a million, whose text matches `syntax`. */
function number(option: string, text: string, syntax: RegExp, expected: string): number {
  if (syntax.test(text) && Number(text) <= 1e6) return Number(text);
  throw invalidValue(option, text, `be ${expected}`);
}
