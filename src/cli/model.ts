/** Selects the model that the command runs, and its weights. */

import type { Backend } from "../backend/mod.ts";
import { createModel, modelFor } from "../models/load_model.ts";
import { bundledWeights } from "../models/bundled.ts";
import type { Architecture } from "../models/description.ts";
import { loadTensors, openInput, storedPrecision } from "../models/load.ts";
import type { Precision } from "../layers/precision.ts";
import { AlexNet, AlexNetTiny, type Classifier } from "../models/mod.ts";
import { FileError } from "../errors.ts";
import type { CachedModel } from "../hub/cache.ts";
import { findCached } from "./cache.ts";
import type { Options } from "./args.ts";
import { asFileError, isSystemError, UsageError } from "./errors.ts";
import { pathOf } from "./inputs.ts";

/** A model whose weights are not loaded yet. */
export interface SelectedModel extends Disposable {
  readonly model: Classifier;
  readonly name: Architecture | "onnx";
  /** Where the weights come from, as text. */
  readonly weights: string;
  /** The precision of fully connected layers, where the backend supports it. */
  readonly precision: Precision;
  /** A hint on getting other weights. */
  readonly hint?: string;
  /** Loads the weights. */
  load(backend: Backend, onProgress: (done: number, total: number) => void): Promise<void>;
}

/** Selects the model of the options. Reads only the header of a weights file. */
export async function selectModel(options: Options): Promise<SelectedModel> {
  return options.seed === undefined ? await fromFile(options) : untrained(options, options.seed);
}

function untrained(
  { model: name = "alexnet", precision = "f32" }: Options,
  seed: number,
): SelectedModel {
  const model = createModel(name, { precision });
  return {
    model,
    name,
    weights: `random (seed ${seed})`,
    precision,
    // deno-lint-ignore require-await -- async, as it is for files
    load: async (backend) => void model.init(backend, { seed }),
    [Symbol.dispose]: () => model.dispose(),
  };
}

async function fromFile(options: Options): Promise<SelectedModel> {
  const { model: requested } = options;
  const usesCache = options.weights === undefined && requested !== "alexnet-tiny";
  const cached = usesCache ? await findCached("alexnet") : [];
  const weights = options.weights ?? cachedWeights(cached, options);
  if (weights === undefined && requested === "alexnet") {
    const reason = cached
      ? `alexnet is not in the cache; to download it, run: ${pullCommand()}`
      : cacheNotSearched;
    throw new UsageError(reason);
  }
  const bundled = weights === undefined;
  const place = bundled ? bundledWeights() : pathOf(weights);
  const throwNamed = (error: unknown) => {
    throw isSystemError(error) ? asFileError(weights ?? String(place), error) : error;
  };
  let file = await openInput(place).catch(throwNamed).catch((error) => {
    if (options.weights !== undefined || bundled || !(error instanceof FileError)) throw error;
    const remedy = `to replace it, run: deno run -A ${script()} rm alexnet, then pull alexnet`;
    throw new FileError(error.file, `${error.reason}; ${remedy}`, { cause: error });
  });
  let model: Classifier;
  try {
    model = modelFor(file, { precision: options.precision }, requested);
  } catch (error) {
    file.close();
    throw error;
  }
  let consumed = false;
  return {
    model,
    name: nameOf(model),
    weights: weights ?? "bundled",
    precision: options.precision ?? storedPrecision(file),
    hint: bundled ? hint(model, cached !== undefined) : undefined,
    async load(backend, onProgress) {
      if (consumed) { // a download cannot be read twice
        file.close();
        file = await openInput(place).catch(throwNamed);
      }
      consumed = true;
      await loadTensors(model, backend, file, { onProgress }).catch(throwNamed);
    },
    [Symbol.dispose]() {
      model.dispose();
      file.close();
    },
  };
}

/** The cached weights to use, if any: those in the requested precision, or the last ones pulled. */
function cachedWeights(models: CachedModel[] = [], { precision }: Options): string | undefined {
  const match = precision &&
    models.find((model) => (model.precision === "int8") === (precision === "int8"));
  return (match ?? models[0])?.path;
}

const cacheNotSearched = "cache not searched: needs --allow-env and --allow-read";

function nameOf(model: Classifier): SelectedModel["name"] {
  if (model instanceof AlexNet) return "alexnet";
  return model instanceof AlexNetTiny ? "alexnet-tiny" : "onnx";
}

/** How to get a model with more classes than the bundled one. */
function hint({ numClasses }: Classifier, searched: boolean): string {
  const text = `${numClasses} classes; for ImageNet's 1000, run: ${pullCommand()}`;
  return searched ? text : `${text} (${cacheNotSearched})`;
}

function pullCommand(): string {
  return `deno run -A ${script()} pull alexnet`;
}

function script(): string {
  return Deno.mainModule.startsWith("file:") ? "cli.ts" : Deno.mainModule;
}
