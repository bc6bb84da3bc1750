/** Parses the arguments of pull, models, rm, convert and quantize. */

import { type OutputFormat, type StoredPrecision, storedPrecisions } from "../weights/stored.ts";
import { oneOf } from "./choices.ts";
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
 * @throws {UsageError} If they are invalid.
 */
export function readWeightsArgs(
  command: typeof weightsCommands[number],
  args: readonly string[],
): WeightsArgs {
  switch (command) {
    case "pull": {
      const { values, positionals } = parseStrictly({
        args: [...args],
        allowPositionals: true,
        options: {
          precision: { type: "string", default: "f16" },
          url: { type: "string" },
          sha256: { type: "string" },
          timeout: { type: "string", default: "30" },
          retries: { type: "string", default: "4" },
          ...shared,
        },
      }, command);
      const { url, sha256 } = values;
      if (url !== undefined && !isWebUrl(url)) {
        throw new UsageError(`--url is ${JSON.stringify(url)}, must be an http or https URL`);
      }
      if (sha256 !== undefined && !/^[\da-f]{64}$/i.test(sha256)) {
        throw new UsageError(
          `--sha256 is ${JSON.stringify(sha256)}, must be 64 hexadecimal digits`,
        );
      }
      return {
        command,
        name: modelName("pull", positionals),
        precision: oneOf("--precision", values.precision, storedPrecisions),
        url,
        sha256,
        stallMs: 1000 *
          number("--timeout", values.timeout, /^(?!0+(\.0*)?$)\d+(\.\d+)?$/, "a number of seconds"),
        retries: number("--retries", values.retries, /^\d+$/, "a number of retries"),
        quiet: values.quiet,
      };
    }
    case "models": {
      const { values } = parseStrictly({
        args: [...args],
        options: { json: { type: "boolean", default: false }, ...shared },
      }, command);
      return { command, json: values.json };
    }
    case "rm": {
      const { values, positionals } = parseStrictly({
        args: [...args],
        allowPositionals: true,
        options: shared,
      }, command);
      return { command, name: modelName("rm", positionals), quiet: values.quiet };
    }
    case "convert": {
      const { values, positionals } = parseStrictly({
        args: [...args],
        allowPositionals: true,
        options: { precision: { type: "string", default: "f32" }, ...shared },
      }, command);
      const [from, to, ...more] = positionals;
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
      return { command, from, to, format, precision, quiet: values.quiet };
    }
    case "quantize": {
      const { values, positionals } = parseStrictly({
        args: [...args],
        allowPositionals: true,
        options: {
          output: { type: "string", short: "o" },
          calibrate: { type: "string" },
          model: { type: "string", short: "m" },
          ...shared,
        },
      }, command);
      const [from, ...more] = positionals, { output: to, calibrate, model, quiet } = values;
      if (!from || !to || more.length > 0) {
        throw new UsageError("quantize takes one file, and --output with another");
      }
      if (calibrate === "") throw new UsageError("--calibrate is empty, must be a folder");
      if (formatOf(to) !== "safetensors") {
        throw new UsageError(`quantize needs a .safetensors output, got ${JSON.stringify(to)}`);
      }
      return { command, from, to, calibrate, model, quiet };
    }
  }
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

/** Options of all these commands. */
const shared = {
  "quiet": { type: "boolean", short: "q", default: false },
  "no-color": { type: "boolean", default: false },
} as const;

function modelName(command: string, [name, ...more]: readonly string[]): string {
  if (name && more.length === 0) return name;
  throw new UsageError(`${command} takes one model name; the models command lists them`);
}

function number(option: string, text: string, syntax: RegExp, expected: string): number {
  if (syntax.test(text) && Number(text) <= 1e6) return Number(text);
  throw new UsageError(`${option} is ${JSON.stringify(text)}, must be ${expected}`);
}
