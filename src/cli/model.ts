/** Which network the command runs, and where its weights come from. */

import type { Backend } from "../backend.ts";
import { network, networkFor } from "../models/alexnet.ts";
import { bundledWeights } from "../models/bundled.ts";
import type { Architecture } from "../models/description.ts";
import { fill, openInput } from "../models/load.ts";
import { AlexNet, AlexNetTiny, type Classifier } from "../models/mod.ts";
import { alexnetUrl, type Options } from "./args.ts";
import { asFileError, isSystemError } from "./errors.ts";
import { pathOf } from "./inputs.ts";

/** A network that waits for its weights. */
export interface Chosen extends Disposable {
  readonly model: Classifier;
  readonly name: Architecture | "onnx";
  /** Where its weights come from, for people. */
  readonly weights: string;
  /** What else there is to say about them. */
  readonly hint?: string;
  /** Gives it its weights. */
  prepare(backend: Backend, onProgress: (done: number, total: number) => void): Promise<void>;
}

/** The network that is asked for. Of a file, only what describes its tensors is read now. */
export async function choose(options: Options): Promise<Chosen> {
  return options.seed === undefined ? await fromFile(options) : random(options, options.seed);
}

function random({ model: name = "alexnet", precision }: Options, seed: number): Chosen {
  const model = network(name, { precision });
  return {
    model,
    name,
    weights: `random (seed ${seed})`,
    // deno-lint-ignore require-await -- async, as it is for files
    prepare: async (backend) => void model.init(backend, { seed }),
    [Symbol.dispose]: () => model.dispose(),
  };
}

async function fromFile({ model: wanted, weights, precision }: Options): Promise<Chosen> {
  const bundled = weights === undefined;
  const place = bundled ? bundledWeights() : pathOf(weights);
  const named = (error: unknown) => {
    throw isSystemError(error) ? asFileError(weights ?? String(place), error) : error;
  };
  const file = await openInput(place).catch(named);
  let model: Classifier;
  try {
    model = networkFor(file, { precision }, wanted);
  } catch (error) {
    file.close();
    throw error;
  }
  return {
    model,
    name: nameOf(model),
    weights: weights ?? "bundled",
    hint: bundled ? hint(model) : undefined,
    prepare: (backend, onProgress) => fill(model, backend, file, { onProgress }).catch(named),
    [Symbol.dispose]() {
      model.dispose();
      file.close();
    },
  };
}

function nameOf(model: Classifier): Chosen["name"] {
  if (model instanceof AlexNet) return "alexnet";
  return model instanceof AlexNetTiny ? "alexnet-tiny" : "onnx";
}

/** How to get more than what is bundled. */
function hint({ numClasses }: Classifier): string {
  const file = alexnetUrl.split("/").at(-1);
  return `it knows ${numClasses} classes; for 1000, download ${alexnetUrl} and add --weights ${file}`;
}
