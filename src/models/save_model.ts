/**
 * Saving a network as a safetensors file.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import { Layer } from "../layers/layer.ts";
import { Linear } from "../layers/linear.ts";
import { checkBoolean, checkObject, checkOptions } from "../ops/checks.ts";
import type { TensorToWrite } from "../weights/io/file_writer.ts";
import { writeSafetensors } from "../weights/safetensors/writer.ts";
import { Classifier } from "./classifier.ts";
import { checkLoaded, sigmoidIndex } from "./classify.ts";
import { describe, invalidField, onnxArchitecture, withDescription } from "./description.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { describeRanges } from "./input_ranges.ts";

/**
 * Options of {@linkcode saveModel}.
 */
export interface SaveModelOptions {
  /**
   * The type of the stored weights. "I8" has a scale for each output, and is loaded with the precision
   * int8. Biases are always float32. Default: "F32".
   */
  readonly dtype?: TensorToWrite["dtype"];
  /**
   * Additional metadata, such as the origin, the licence, or the measured accuracy of the weights. Keys
   * that describe the network, such as `classes` and `temperature`, are ignored, and so is the checksum
   * of another file, `file_crc32`.
   */
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Saves only the last layer, with a SHA-256 of the weights of the others. {@linkcode loadModel}
   * joins it with these weights, which its option `base` names. Default: false.
   */
  readonly headOnly?: boolean;
}

/**
 * Saves a network of {@linkcode createModel} as a safetensors file with its class names and
 * preprocessing. {@linkcode loadModel} reads it back. An {@linkcode AlexNet} must have the default
 * channels and hidden features, and an {@linkcode AlexNetTiny} no batch normalisation.
 *
 * For an {@linkcode OnnxNetwork}, only the last layer can be saved (`headOnly`).
 *
 * @param model The network. It is not changed.
 * @param options `dtype`: "F32" (default), "F16", "BF16" or "I8"; `metadata` to add to the file;
 * `headOnly` saves the last layer only.
 * @returns The bytes of the file.
 * @throws {PembrokeError} When the model is not such a network, has no values, or has weights in
 * fewer than 32 bits: load it with the precision "f32", which keeps the values of a file in 8 bits.
 * Also when the last layer is saved alone, but does not compute a logit for each class by a `Linear`, when
 * a weight is too large for the `dtype`, or the weights change before the file is complete.
 * @throws {ArgumentError} When `model` is no classifier, its preprocessing cannot be stored, or a weight
 * to store as "I8" is not finite.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { AlexNetTiny, loadModel } from "./mod.ts";
 * import { saveModel } from "./save_model.ts";
 *
 * using backend = await createBackend();
 * using model = new AlexNetTiny({ classes: ["ant", "bee"] }).init(backend, { seed: 1 });
 * const file = await saveModel(model, { dtype: "F16" });
 * using same = await loadModel({ backend, weights: file });
 * console.log(same.classes[1].label); // bee
 * ```
 *
 * @example The last layer only: a few kilobytes
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { loadModel } from "./load_model.ts";
 * import { saveModel } from "./save_model.ts";
 *
 * using backend = await createBackend();
 * const base = "weights/alexnet_tiny.safetensors"; // in 8 bits
 * using model = await loadModel({ backend, weights: base, precision: "f32" });
 * model.replaceHead(["ant", "bee"]);
 * const head = await saveModel(model, { headOnly: true });
 * using same = await loadModel({ backend, weights: head, base });
 * console.log(head.length, same.classes[1].label); // 4608 bee
 * ```
 */
export async function saveModel(
  model: Classifier,
  options: SaveModelOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  if (!(model instanceof Classifier)) {
    const expected = "a Classifier; for other networks, use saveWeights()";
    throw new ArgumentError("saveModel", "model", model, expected);
  }
  checkOptions("saveModel", options, ["dtype", "metadata", "headOnly"]);
  const { dtype = "F32", metadata = {}, headOnly = false } = options;
  checkObject("saveModel", "metadata", metadata);
  checkBoolean("saveModel", "headOnly", headOnly);
  checkLoaded(model);
  const { network, classes, preprocessing, temperature } = model;
  const field = invalidField(JSON.parse(JSON.stringify(preprocessing)));
  if (field) {
    const takes = "valid in a file: sides up to 4096, lists of three numbers, std above 0";
    throw new ArgumentError("saveModel", `preprocessing.${field}`, preprocessing[field], takes);
  }
  const architecture = network ?? (headOnly ? onnxArchitecture : undefined);
  if (architecture === undefined) {
    throw new PembrokeError(
      `saveModel: cannot save ${model.type}, only networks of createModel(); use saveWeights()`,
    );
  }
  if (headOnly) checkHead(model);
  const head = headOnly ? `${model.head.name}.` : "";
  const { tensors, base } = await whileUnchanged("saveModel", model, async () => ({
    tensors: await readTensors("saveModel", model, head, dtype),
    base: headOnly ? await fingerprintOf(model) : undefined,
  }));
  const description = {
    ...describe({
      architecture,
      classes,
      preprocessing,
      temperature,
      ...(model.hasLinearHead && { head: "linear" }),
      base,
    }),
    ...(!headOnly && describeRanges(model)),
  };
  return writeSafetensors(tensors, withDescription(Object.entries(metadata), description));
}

/**
 * Saves the parameters and running statistics of a layer or a network as a safetensors file, under
 * the names of its `stateDict()`. {@linkcode loadWeights} reads it back into the same network. For
 * networks of {@linkcode createModel}, {@linkcode saveModel} also stores the classes.
 *
 * @param model A layer or a network, with values in float32. It is not changed.
 * @returns The bytes of the file.
 * @throws {PembrokeError} When the model has no weights, has no values, or has weights in fewer than 32 bits.
 * Also when the weights change before the file is complete.
 * @throws {ArgumentError} When `model` is no layer.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Linear, ReLU, Sequential } from "../layers/mod.ts";
 * import { loadWeights, saveWeights } from "./mod.ts";
 *
 * const create = () => new Sequential([new Linear(2, 8), new ReLU(), new Linear(8, 2)]);
 * using backend = await createBackend();
 * using net = create().init(backend, { seed: 1 });
 * const file = await saveWeights(net);
 * using same = create();
 * await loadWeights(same, backend, file);
 * ```
 */
export async function saveWeights(model: Layer): Promise<Uint8Array<ArrayBuffer>> {
  const op = "saveWeights";
  if (!(model instanceof Layer)) throw new ArgumentError(op, "model", model, "a Layer");
  if (model.stateDict().size === 0) throw new PembrokeError(`${op}: ${model.type} has no weights`);
  checkLoaded(model);
  return writeSafetensors(await whileUnchanged(op, model, () => readTensors(op, model)));
}

/** Throws if the last layer is not like those that {@linkcode loadModel} joins with other layers. */
function checkHead(model: Classifier): void {
  const { head: { name, layer }, numClasses } = model;
  const isHead = layer instanceof Linear && layer.outFeatures === numClasses;
  if (isHead && sigmoidIndex(model) < 0) return;
  throw new PembrokeError(
    `saveModel: ${name} is no Linear with a logit for each class, so it cannot be saved alone; call ` +
      "replaceHead() first",
  );
}

/**
 * Reads the tensors of a model.
 *
 * @param prefix What the names begin with. Default: all tensors.
 * @param dtype The type to store weights in. Biases and statistics are always float32.
 * @throws {PembrokeError} When a tensor has no float32 values.
 */
async function readTensors(
  op: string,
  model: Layer,
  prefix = "",
  dtype: TensorToWrite["dtype"] = "F32",
): Promise<TensorToWrite[]> {
  const tensors: TensorToWrite[] = [];
  for (const [name, { shape, tensor }] of model.stateDict()) {
    if (!name.startsWith(prefix)) continue;
    if (!tensor) {
      throw new PembrokeError(
        `${op}: ${name} has no float32 values; call init() or load weights in f32 first`,
      );
    }
    const stored = shape.length > 1 ? dtype : "F32";
    tensors.push({ name, dtype: stored, shape, data: await tensor.read() });
  }
  return tensors;
}

/**
 * Runs a function that reads the weights of a model.
 *
 * @throws {PembrokeError} When the weights change meanwhile: the result would be a mixture.
 */
async function whileUnchanged<T>(
  op: string,
  model: Layer,
  read: () => Promise<T>,
): Promise<T> {
  const before = stateOf(model), result = await read(), after = stateOf(model);
  if (after.length === before.length && after.every((item, i) => item === before[i])) {
    return result;
  }
  throw new PembrokeError(`${op}: the weights changed meanwhile; await it before you go on`);
}

/** The tensors of a model, and their versions. */
function stateOf(model: Layer): unknown[] {
  return [...model.stateDict().values()].flatMap(({ tensor }) => [tensor, tensor?.version]);
}
