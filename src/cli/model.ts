/** Which network the command runs, and where its weights come from. */

import type { Backend } from "../backend.ts";
import { network, networkFor } from "../models/alexnet.ts";
import { bundledWeights } from "../models/bundled.ts";
import type { Architecture } from "../models/description.ts";
import { fill, openInput, storedPrecision } from "../models/load.ts";
import type { Precision } from "../layers/precision.ts";
import { AlexNet, AlexNetTiny, type Classifier } from "../models/mod.ts";
import { findCached } from "./cache.ts";
import type { Options } from "./args.ts";
import { asFileError, isSystemError, UsageError } from "./errors.ts";
import { pathOf } from "./inputs.ts";

/** A network that waits for its weights. */
export interface Chosen extends Disposable {
  readonly model: Classifier;
  readonly name: Architecture | "onnx";
  /** Where its weights come from, for people. */
  readonly weights: string;
  /** How it holds those of fully connected layers. */
  readonly precision: Precision;
  /** What else there is to say about them. */
  readonly hint?: string;
  /** Gives it its weights. */
  prepare(backend: Backend, onProgress: (done: number, total: number) => void): Promise<void>;
}

/** The network that is asked for. Of a file, only what describes its tensors is read now. */
export async function choose(options: Options): Promise<Chosen> {
  return options.seed === undefined ? await fromFile(options) : random(options, options.seed);
}

function random({ model: name = "alexnet", precision = "f32" }: Options, seed: number): Chosen {
  const model = network(name, { precision });
  return {
    model,
    name,
    weights: `random (seed ${seed})`,
    precision,
    // deno-lint-ignore require-await -- async, as it is for files
    prepare: async (backend) => void model.init(backend, { seed }),
    [Symbol.dispose]: () => model.dispose(),
  };
}

async function fromFile(options: Options): Promise<Chosen> {
  const { model: wanted } = options;
  const weights = options.weights ??
    (wanted === "alexnet-tiny" ? undefined : await cached(options));
  if (weights === undefined && wanted === "alexnet") {
    throw new UsageError(`no weights of alexnet in the cache; ${pullCommand()} gets them`);
  }
  const bundled = weights === undefined;
  const place = bundled ? bundledWeights() : pathOf(weights);
  const named = (error: unknown) => {
    throw isSystemError(error) ? asFileError(weights ?? String(place), error) : error;
  };
  const file = await openInput(place).catch(named);
  let model: Classifier;
  try {
    model = networkFor(file, { precision: options.precision }, wanted);
  } catch (error) {
    file.close();
    throw error;
  }
  return {
    model,
    name: nameOf(model),
    weights: weights ?? "bundled",
    precision: options.precision ?? storedPrecision(file),
    hint: bundled ? hint(model) : undefined,
    prepare: (backend, onProgress) => fill(model, backend, file, { onProgress }).catch(named),
    [Symbol.dispose]() {
      model.dispose();
      file.close();
    },
  };
}

/** The path of the weights to take from the cache, if there are any. */
async function cached({ precision }: Options): Promise<string | undefined> {
  const models = await findCached("alexnet");
  const fitting = models.find((model) => (model.precision === "int8") === (precision === "int8"));
  return (precision && fitting ? fitting : models[0])?.path;
}

function nameOf(model: Classifier): Chosen["name"] {
  if (model instanceof AlexNet) return "alexnet";
  return model instanceof AlexNetTiny ? "alexnet-tiny" : "onnx";
}

/** How to get more than what is bundled. */
function hint({ numClasses }: Classifier): string {
  return `it knows ${numClasses} classes; for 1000: ${pullCommand()}`;
}

function pullCommand(): string {
  const script = Deno.mainModule.startsWith("file:") ? "cli.ts" : Deno.mainModule;
  return `deno run -A ${script} pull alexnet`;
}
