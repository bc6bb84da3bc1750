/** Selects the model that the command runs, and its weights. */

import type { Backend } from "../backend/mod.ts";
import { type Description, invalidField, readDescription } from "../models/description.ts";
import { type LoadModelOptions, modelFor } from "../models/load_model.ts";
import { bundledWeights, isShipped } from "../models/bundled.ts";
import { loadTensors, openInput, storedPrecision } from "../models/load.ts";
import type { Precision } from "../layers/precision.ts";
import type { Classifier, NetworkName } from "../models/mod.ts";
import { FileError } from "../errors.ts";
import type { ModelOptions } from "./args.ts";
import type { ChosenWeights } from "./chosen_weights.ts";
import type { CheckedSource } from "../hub/checksum.ts";
import { redactUrl } from "../io/redact.ts";
import type { ClassName } from "../models/imagenet_classes.ts";
import type { WeightsFile } from "../weights/mod.ts";
import { invalidValue } from "./choices.ts";
import { asFileError, UsageError } from "./errors.ts";
import type { Digest } from "./feature_cache.ts";
import type { JoinedHead } from "./head_file.ts";
import { isWebUrl, pathOf } from "./inputs.ts";
import { commandLine, defaultName, pullCommand } from "./command_line.ts";
import type { HashedDownload } from "./hashed_download.ts";
import { plural } from "./terminal.ts";

/** A model whose weights are not loaded yet. */
export interface SelectedModel extends Disposable {
  readonly model: Classifier;
  readonly name: string;
  /** Where the weights come from, as text. */
  readonly weights: string;
  /** The path or URL of the weights; undefined for random ones. */
  readonly place?: string | URL;
  /** The precision of weights, where the backend supports it. */
  readonly precision: Precision;
  /** A hint on getting other weights. */
  readonly hint?: string;
  /** Loads the weights. */
  load(backend: Backend, onProgress: (done: number, total: number) => void): Promise<void>;
  /** The SHA-256 of a download, if it is hashed. Weights must be loaded before. */
  readonly digest?: () => Promise<Digest>;
}

/** How a model is selected. */
export interface SelectOptions {
  /** Whether to compute the hash of a download. */
  readonly hashes?: boolean;
}

/** Selects the model of the options. Reads only the header of a weights file. */
export async function selectModel(
  options: ModelOptions,
  { hashes = false }: SelectOptions = {},
): Promise<SelectedModel> {
  const labels = options.classes === undefined ? undefined : await labelsOf(options.classes);
  return options.seed === undefined
    ? await fromFile(options, labels, hashes)
    : await untrained(options, options.seed, labels);
}

/** Options that replace parts of a model's own description. */
type Overrides = Pick<LoadModelOptions, "classes" | "preprocessing">;

/** Makes a model with other class names and another preprocessing, if the options have any. */
async function withOverrides<M extends Classifier>(
  { classes: file, preprocessing }: ModelOptions,
  labels: readonly ClassName[] | undefined,
  make: (overrides: Overrides) => M | Promise<M>,
): Promise<M> {
  const model = await make({});
  if (!labels && !preprocessing) return model;
  const own = model.preprocessing;
  const numClasses = model.numClasses === 1 ? 2 : model.numClasses; // one score decides between two
  model.dispose();
  if (labels && file !== undefined && labels.length !== numClasses) {
    const names = plural(labels.length, "name");
    throw new FileError(file, `has ${names}, but the model has ${numClasses} classes`);
  }
  const merged = { ...own, ...preprocessing };
  const invalid = invalidField(merged);
  if (invalid) {
    throw new UsageError(`--preprocessing has an invalid ${invalid}; see docs/command-line.md`);
  }
  return await make({ ...labels && { classes: labels }, preprocessing: merged });
}

async function untrained(
  options: ModelOptions,
  seed: number,
  labels: readonly ClassName[] | undefined,
): Promise<SelectedModel> {
  const { precision = "f32" } = options, name = await networkOf(options.model ?? "alexnet");
  const { createModel } = await import("../models/registry.ts");
  const model = await withOverrides(
    options,
    labels,
    (overrides) => createModel(name, { precision, ...overrides }),
  );
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

async function fromFile(
  options: ModelOptions,
  labels: readonly ClassName[] | undefined,
  hashes: boolean,
): Promise<SelectedModel> {
  const { model: name, precision } = options;
  const requested = name === undefined ? undefined : await networkOf(name);
  const chosen = options.weights === undefined ? await chosenWeights(options) : undefined;
  const weights = options.weights ?? chosen?.path;
  const bundled = weights === undefined;
  const place = bundled ? bundledWeights(isShipped(name) ? name : undefined) : pathOf(weights);
  const throwNamed = (error: unknown) => {
    throw asFileError(weights ?? String(place), error);
  };
  const throwRemedy = (error: unknown) => {
    throw withRemedy(error, chosen?.entry);
  };
  const open = () => openAt(place, options, hashes).catch(throwNamed);
  let opened = await open().catch(throwRemedy);
  let model: Classifier;
  try {
    model = await withOverrides(
      options,
      labels,
      (overrides) => opened.modelFor(opened.file, { precision, ...overrides }, requested),
    );
  } catch (error) {
    opened.close();
    throw error;
  }
  let consumed = false;
  return {
    model,
    name: model.network ?? "onnx",
    weights: redactUrl(weights ?? "bundled"),
    place,
    precision: precision ?? storedPrecision(opened.file),
    hint: bundled ? hint(model, chosen?.reason) : undefined,
    async load(backend, onProgress) {
      if (consumed) { // a download cannot be read twice
        opened.close();
        opened = await open();
      }
      consumed = true;
      await loadTensors(model, backend, opened.file, { onProgress }).catch(throwNamed);
      await opened.source?.finish().catch(throwRemedy);
    },
    ...opened.download && { digest: () => opened.download!.digest() },
    [Symbol.dispose]() {
      model.dispose();
      opened.close();
    },
  };
}

/** The error of a file in the cache, with the commands that replace the file. Returns others unchanged. */
function withRemedy(error: unknown, entry: ChosenWeights["entry"]): unknown {
  if (!entry || !(error instanceof FileError)) return error;
  const { name } = entry;
  const remedy = `to replace it, run: ${commandLine()} rm ${name}, then pull ${name}`;
  return new FileError(error.file, `${error.reason}; ${remedy}`, { cause: error });
}

/** An open file of weights, and what comes with it. */
interface OpenedWeights {
  /** The weights of the whole network. */
  readonly file: WeightsFile;
  /** Creates the network of the weights. */
  readonly modelFor: typeof modelFor;
  /** Checks a local file while it is read. */
  readonly source?: CheckedSource;
  /** Computes the hash of a download. */
  readonly download?: HashedDownload;
  close(): void;
}

/** Opens a file of weights. One with only a last layer is joined with its network. */
async function openAt(
  place: string | URL,
  options: ModelOptions,
  hashes: boolean,
): Promise<OpenedWeights> {
  const isUrl = isWebUrl(String(place));
  const source = typeof place === "string" && !isUrl ? await checkedFile(place) : undefined;
  const download = hashes && isUrl ? await startHashed(String(place)) : undefined;
  const file = await openInput(source ?? download?.source ?? place);
  try {
    const description = readDescription(file);
    if (description?.base !== undefined) {
      const joined = await withBase(options, place, description);
      const close = () => [file, joined.file].forEach((each) => each.close());
      return { ...joined, source, download, close };
    }
    if (options.base === undefined) {
      return { file, modelFor, source, download, close: () => file.close() };
    }
    throw new UsageError(
      `--base is for weights with only a last layer, but ${options.weights} has all layers; ` +
        "leave it out",
    );
  } catch (error) {
    file.close();
    throw error;
  }
}

// The modules of these functions are imported on demand, for a fast start.

async function labelsOf(file: string): Promise<ClassName[]> {
  const { readLabels } = await import("./labels.ts");
  return await readLabels(file);
}

async function chosenWeights(options: ModelOptions): Promise<ChosenWeights | undefined> {
  if (isShipped(options.model)) return undefined;
  const { chooseWeights } = await import("./chosen_weights.ts");
  return await chooseWeights(options);
}

async function withBase(
  options: ModelOptions,
  head: string | URL,
  description: Description,
): Promise<JoinedHead> {
  const { joinHead } = await import("./head_file.ts");
  return await joinHead(options, head, description);
}

async function checkedFile(path: string): Promise<CheckedSource> {
  const { checkedSource } = await import("../hub/checksum.ts");
  const { fileSource } = await import("../weights/io/file_source.ts");
  return await checkedSource(await fileSource(path));
}

async function startHashed(url: string): Promise<HashedDownload> {
  const { hashedDownload } = await import("./hashed_download.ts");
  return await hashedDownload(url);
}

async function networkOf(name: string): Promise<NetworkName> {
  if (isShipped(name)) return name;
  if (/[./\\]/.test(name)) {
    throw invalidValue("--model", name, "be a name; for files, use --weights");
  }
  return (await import("./model_name.ts")).networkOf(name);
}

/** How to get a model with more classes than the bundled one, and why it is not used already. */
function hint({ numClasses }: Classifier, reason: string | undefined): string {
  const command = pullCommand(defaultName);
  const text = `${numClasses} classes; for ImageNet's 1000, run: ${command}`;
  return reason === undefined ? text : `${text} (${reason})`;
}
