/**
 * Loading a last layer, and the others from another file.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { escapeText } from "../weights/io/quote.ts";
import { renameTensors } from "../weights/match_names.ts";
import type { WeightsFile } from "../weights/mod.ts";
import type { Classifier } from "./classifier.ts";
import { type Description, onnxArchitecture, readDescription } from "./description.ts";
import { Fingerprint } from "./fingerprint.ts";
import { loadInto, type LoadOptions, loadTensors, openInput, type WeightsInput } from "./load.ts";
import { toClassNames } from "./network_classes.ts";
import type { NetworkOptions } from "./network_options.ts";
import type { NetworkName } from "./registry.ts";

/** The options of `loadModel()` that matter here. */
interface HeadOptions extends NetworkOptions, LoadOptions {
  readonly base?: WeightsInput;
  readonly model?: NetworkName;
}

/**
 * Loads the other layers from `base`, and the last one from a file that has nothing else.
 *
 * @param modelFor Creates the network of the base.
 * @throws {FileError} When there is no base, or the last layer was not trained with it.
 */
export async function loadHead(
  file: WeightsFile,
  { architecture, classes, preprocessing, temperature = 1, base: expected }: Description,
  options: HeadOptions,
  modelFor: (file: WeightsFile, options: NetworkOptions, name?: NetworkName) => Promise<Classifier>,
): Promise<Classifier> {
  const { base, signal, model: name } = options;
  if (base === undefined) {
    const reason =
      `holds only the last layer: pass the weights of ${escapeText(architecture)} as ` +
      "`base`";
    throw new FileError(file.name, reason);
  }
  const names = toClassNames("loadModel", options.classes ?? classes);
  for (const count of [names.length, options.numClasses ?? names.length]) {
    if (count === classes.length) continue;
    throw new ArgumentError("loadModel", "the number of classes", count, `${classes.length}`);
  }
  using baseFile = await openInput(base, signal, "loadModel", options.files);
  const described = readDescription(baseFile);
  if (described?.base !== undefined) {
    throw new FileError(baseFile.name, "holds only a last layer, too: it cannot be a base");
  }
  const unlike = `is not the ${escapeText(architecture)} that ${file.name} was trained with`;
  const other = name ?? described?.architecture ?? architecture;
  if (other !== architecture) {
    throw new FileError(baseFile.name, `${unlike}, but ${escapeText(other)}`);
  }
  const fingerprint = new Fingerprint();
  const { preprocessing: chosen = preprocessing } = options;
  const network = { ...options, preprocessing: chosen, classes: undefined, numClasses: undefined };
  const empty = await modelFor(baseFile, network, name).catch((cause) => {
    if (chosen !== preprocessing || !(cause instanceof ArgumentError)) throw cause;
    if (!cause.parameter.startsWith("preprocessing.")) throw cause;
    throw new FileError(baseFile.name, `${unlike}: it takes images of another size`, { cause });
  });
  const model = await loadInto(empty, baseFile, {
    ...options,
    onValues: (name, values) => fingerprint.add(name, values),
  });
  try {
    const actual = await fingerprint.digest(`${model.head.name}.`);
    if ((model.network ?? onnxArchitecture) !== architecture || actual !== expected) {
      const reason = `${unlike}: the SHA-256 of its other layers is ${actual}, not ${expected}`;
      throw new FileError(baseFile.name, reason);
    }
    const { backend } = model;
    model.useLinearHead(names);
    model.temperature = temperature;
    const { name: prefix, layer } = model.head;
    const named = renameTensors(
      file,
      (tensor) => tensor.startsWith(`${prefix}.`) ? tensor.slice(prefix.length + 1) : undefined,
    );
    await loadTensors(layer, backend, named, { signal });
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}
