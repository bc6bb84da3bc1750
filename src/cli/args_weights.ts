/** The command line of the commands that fetch, list, convert and delete weights. */

import { type OutputFormat, type StoredPrecision, storedPrecisions } from "../weights/convert.ts";
import { oneOf } from "./choices.ts";
import { UsageError } from "./errors.ts";
import { isWebUrl } from "./inputs.ts";
import { parseStrictly } from "./parse.ts";

/** `cli.ts pull NAME`. */
export interface PullArgs {
  readonly command: "pull";
  readonly name: string;
  readonly precision: StoredPrecision;
  /** Another place of the file. */
  readonly url?: string;
  /** The hash of another file. */
  readonly sha256?: string;
  /** Milliseconds without a byte. */
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
  /** That of `to`, by its name. */
  readonly format: OutputFormat;
  readonly precision: StoredPrecision;
  readonly quiet: boolean;
}

export type WeightsArgs = PullArgs | ModelsArgs | RemoveArgs | ConvertArgs;

export const weightsCommands = ["pull", "models", "rm", "convert"] as const;

export const weightsUsage = `\
Weights: deno run -A cli.ts pull [options] <name>
         deno run -A cli.ts models [--json]
         deno run -A cli.ts rm <name>
         deno run -A cli.ts convert [options] <in> <out>

  pull               download published weights (alexnet) into the cache, verify and convert them;
                     from then on they are used by default. One that broke off goes on
  models             list the models that are bundled, in the cache and to be had, with their sizes
  rm                 delete a model from the cache
  convert            store weights in another format or precision: from .pth, safetensors or ONNX to
                     what the second name ends in, .safetensors, .pth, .pt or .onnx

      --precision P  how weights are stored: f32; f16, half as large, with answers that differ in
                     the fourth digit (the default of pull); or int8, a quarter as large, with
                     answers that differ in the second, in safetensors only. convert's default is
                     f32
      --url URL      where to download from instead; the file must be the same, or have
      --sha256 HEX   this SHA-256
      --timeout S    seconds without a byte before another attempt (default 30)
      --retries N    attempts that bring nothing before giving up (default 4)
  -q, --quiet        print errors only

The cache is the folder PEMBROKE_CACHE, or pembroke in the system's folder for caches.`;

/** Reads what follows the command's name. */
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
      });
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
        name: single("pull", positionals),
        precision: oneOf("--precision", values.precision, storedPrecisions),
        url,
        sha256,
        stallMs: 1000 *
          number("--timeout", values.timeout, /^(?!0+(\.0*)?$)\d+(\.\d+)?$/, "seconds"),
        retries: number("--retries", values.retries, /^\d+$/, "a count"),
        quiet: values.quiet,
      };
    }
    case "models": {
      const { values } = parseStrictly({
        args: [...args],
        options: { json: { type: "boolean", default: false }, ...shared },
      });
      return { command, json: values.json };
    }
    case "rm": {
      const { values, positionals } = parseStrictly({
        args: [...args],
        allowPositionals: true,
        options: shared,
      });
      return { command, name: single("rm", positionals), quiet: values.quiet };
    }
    case "convert": {
      const { values, positionals } = parseStrictly({
        args: [...args],
        allowPositionals: true,
        options: { precision: { type: "string", default: "f32" }, ...shared },
      });
      const [from, to, ...more] = positionals;
      if (!from || !to || more.length > 0) {
        throw new UsageError("convert takes two files, the one to read and the one to write");
      }
      const precision = oneOf("--precision", values.precision, storedPrecisions);
      const format = formatOf(to);
      if (precision === "int8" && format !== "safetensors") {
        throw new UsageError(`--precision int8 is for safetensors only, got ${JSON.stringify(to)}`);
      }
      return { command, from, to, format, precision, quiet: values.quiet };
    }
  }
}

/** The format to write, by the end of the file's name. */
function formatOf(file: string): OutputFormat {
  const [, ending] = /\.(safetensors|pth|pt|onnx)$/i.exec(file) ?? [];
  switch (ending?.toLowerCase()) {
    case "safetensors":
      return "safetensors";
    case "pth":
    case "pt":
      return "pth";
    case "onnx":
      return "onnx";
    default:
      throw new UsageError(
        `${JSON.stringify(file)} says no format, must end in .safetensors, .pth, .pt or .onnx`,
      );
  }
}

/** Options that all of these commands take. */
const shared = {
  "quiet": { type: "boolean", short: "q", default: false },
  "no-color": { type: "boolean", default: false },
} as const;

function single(command: string, [name, ...more]: readonly string[]): string {
  if (name && more.length === 0) return name;
  throw new UsageError(`${command} takes one name; models lists them`);
}

function number(option: string, text: string, form: RegExp, takes: string): number {
  if (form.test(text) && Number(text) <= 1e6) return Number(text);
  throw new UsageError(`${option} is ${JSON.stringify(text)}, must be ${takes}`);
}
