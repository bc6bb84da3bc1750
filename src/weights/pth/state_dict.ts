/**
 * Finds the state dict in the value of a PyTorch pickle.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { locateTensor, type StorageRange, type StoredTensor } from "../layout.ts";
import { Dict, List, Tuple, type Value } from "./pickle_values.ts";
import type { ByteSource } from "../io/source.ts";
import { escapeText } from "../io/quote.ts";
import { type StorageView, TorchTensor } from "./torch_objects.ts";

/** The keys under which training scripts save the state dict beside other values. */
const wrapperKeys = ["state_dict", "model", "model_state_dict"];

/** The prefix that DataParallel adds to every name. */
const parallelPrefix = "module.";

/**
 * Locates the tensors of a state dict, by name.
 *
 * @param value The value of the pickle.
 * @param locate Finds a storage in the file.
 * @param source The file.
 * @throws {FileError} When there is no state dict, or a tensor is outside its storage.
 */
export async function locateStateDict(
  value: Value,
  locate: (view: StorageView, name: string) => StorageRange | Promise<StorageRange>,
  source: ByteSource,
): Promise<Map<string, StoredTensor>> {
  const tensors = findTensors(value, source.name);
  const isParallel = tensors.every(([name]) => name.startsWith(parallelPrefix));
  const located = new Map<string, StoredTensor>();
  for (const [fullName, tensor] of tensors) {
    const name = isParallel ? fullName.slice(parallelPrefix.length) : fullName;
    const { view, dtype, offset, size, stride } = tensor;
    if (!(size instanceof Tuple && stride instanceof Tuple)) {
      throw new FileError(source.name, `${escapeText(name)} has no shape: damaged`);
    }
    const { start, deferred } = await locate(view, name);
    const range = { start: start + view.byteOffset, length: view.byteLength, deferred };
    // locateTensor() checks the sizes.
    const entry = { name, dtype, shape: size.items as number[] };
    located.set(name, locateTensor(entry, stride.items, range, offset, source));
  }
  return located;
}

function findTensors(value: Value, file: string): [string, TorchTensor][] {
  if (!(value instanceof Dict)) {
    throw new FileError(
      file,
      `holds ${describe(value)}, not a state dict: save model.state_dict() instead`,
    );
  }
  for (const key of wrapperKeys) {
    const inner = value.map.get(key);
    const tensors = inner instanceof Dict ? namedTensors(inner) : [];
    if (tensors.length > 0) return tensors;
  }
  const tensors = namedTensors(value);
  if (tensors.length === 0) throw new FileError(file, "holds no tensors: not a state dict");
  return tensors;
}

/** The tensors in a dict; other values (an epoch, `_extra_state`) are left out. */
function namedTensors(dict: Dict): [string, TorchTensor][] {
  const tensors: [string, TorchTensor][] = [];
  for (const [name, tensor] of dict.map) {
    if (typeof name === "string" && tensor instanceof TorchTensor) tensors.push([name, tensor]);
  }
  return tensors;
}

/** Describes a value that is not a dict, for an error message. */
function describe(value: Value): string {
  if (value instanceof TorchTensor) return "one tensor";
  if (value instanceof List) return "a list";
  if (value instanceof Tuple) return "a tuple";
  return "a single value";
}
