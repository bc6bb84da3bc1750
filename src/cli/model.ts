/** Which network the command runs, and where its weights come from. */

import type { Backend } from "../backend/mod.ts";
import { createModel, modelFor } from "../models/load_model.ts";
import { bundledWeights } from "../models/bundled.ts";
import type { Architecture } from "../models/description.ts";
import { fill, openInput, storedPrecision } from "../models/load.ts";
import type { Precision } from "../layers/precision.ts";
import { AlexNet, AlexNetTiny, type Classifier } from "../models/mod.ts";
import { FileError } from "../errors.ts";
import type { CachedModel } from "../hub/cache.ts";
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
  /** How it is to hold those of fully connected layers; not every backend can. */
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
  const model = createModel(name, { precision });
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
  const looks = options.weights === undefined && wanted !== "alexnet-tiny";
  const found = looks ? await findCached("alexnet") : [];
  const weights = options.weights ?? fitting(found, options);
  if (weights === undefined && wanted === "alexnet") {
    const why = found ? `no weights of alexnet in the cache; ${pullCommand()} gets them` : unseen;
    throw new UsageError(why);
  }
  const bundled = weights === undefined;
  const place = bundled ? bundledWeights() : pathOf(weights);
  const named = (error: unknown) => {
    throw isSystemError(error) ? asFileError(weights ?? String(place), error) : error;
  };
  let file = await openInput(place).catch(named).catch((error) => {
    if (options.weights !== undefined || bundled || !(error instanceof FileError)) throw error;
    const way = `deno run -A ${script()} rm alexnet deletes it, pull alexnet gets it again`;
    throw new FileError(error.file, `${error.reason}; ${way}`, { cause: error });
  });
  let model: Classifier;
  try {
    model = modelFor(file, { precision: options.precision }, wanted);
  } catch (error) {
    file.close();
    throw error;
  }
  let read = false;
  return {
    model,
    name: nameOf(model),
    weights: weights ?? "bundled",
    precision: options.precision ?? storedPrecision(file),
    hint: bundled ? hint(model, found !== undefined) : undefined,
    async prepare(backend, onProgress) {
      if (read) { // what came over the network is gone
        file.close();
        file = await openInput(place).catch(named);
      }
      read = true;
      await fill(model, backend, file, { onProgress }).catch(named);
    },
    [Symbol.dispose]() {
      model.dispose();
      file.close();
    },
  };
}

/** The weights to take from the cache, if there are any: those of the precision, or the last ones. */
function fitting(models: CachedModel[] = [], { precision }: Options): string | undefined {
  const found = precision &&
    models.find((model) => (model.precision === "int8") === (precision === "int8"));
  return (found ?? models[0])?.path;
}

/** Said where it may be that weights have been pulled. */
const unseen = "the cache is not looked at without --allow-env and --allow-read";

function nameOf(model: Classifier): Chosen["name"] {
  if (model instanceof AlexNet) return "alexnet";
  return model instanceof AlexNetTiny ? "alexnet-tiny" : "onnx";
}

/** How to get more than what is bundled. */
function hint({ numClasses }: Classifier, looked: boolean): string {
  const more = `it knows ${numClasses} classes; for 1000: ${pullCommand()}`;
  return looked ? more : `${more} (${unseen})`;
}

function pullCommand(): string {
  return `deno run -A ${script()} pull alexnet`;
}

function script(): string {
  return Deno.mainModule.startsWith("file:") ? "cli.ts" : Deno.mainModule;
}
