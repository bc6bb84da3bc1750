/**
 * Finds the state dict in the value of a PyTorch pickle.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { isFloat } from "../dtype.ts";
import {
  findRegions,
  locateTensor,
  type Region,
  runOf,
  SharedElements,
  type StorageRange,
  type StoredTensor,
} from "../layout.ts";
import { Dict, List, Tuple, type Value } from "./pickle_values.ts";
import type { ByteSource } from "../io/source.ts";
import { escapeText, formatShape } from "../io/quote.ts";
import { type StorageView, TorchTensor } from "./torch_objects.ts";

/** The keys under which most training scripts save the state dict beside other values. */
const wrapperKeys = ["state_dict", "model", "model_state_dict"];

/** The limits of the search for a nested state dict. */
const maxDepth = 8, maxDicts = 10_000;

/** How often the bytes of a file may be read, besides 64 MiB. A single read takes as long as 256 bytes. */
const maxReads = 64, freeBytes = 64 << 20, singleReadBytes = 256;

/** How much of a file may be kept in memory, besides 64 MiB: regions overlap only if parts are not aligned. */
const maxKept = 2;

/** The most state dicts that an error message names. */
const maxNames = 4;

/**
 * Locates the tensors of a state dict, by name.
 *
 * @param value The value of the pickle.
 * @param locate Finds a storage in the file.
 * @param source The file.
 * @throws {FileError} When there is no state dict, a tensor is outside its storage, or all tensors are
 * too large or lie too far apart for the file.
 */
export async function locateStateDict(
  value: Value,
  locate: (view: StorageView, name: string) => StorageRange | Promise<StorageRange>,
  source: ByteSource,
): Promise<Map<string, StoredTensor>> {
  const located = new Map<string, StoredTensor>(), shared = new SharedElements(source);
  for (const [name, tensor] of findTensors(value, source.name)) {
    const { view, dtype, offset, size, stride } = tensor;
    if (!(size instanceof Tuple && stride instanceof Tuple)) {
      throw new FileError(source.name, `${escapeText(name)} has no shape: damaged`);
    }
    const { start, deferred } = await locate(view, name);
    const range = { start: start + view.byteOffset, length: view.byteLength, deferred };
    // locateTensor() checks the sizes.
    const entry = { name, dtype, shape: size.items as number[] };
    const stored = locateTensor(entry, stride.items, range, offset, source);
    shared.add(stored);
    located.set(name, stored);
  }
  checkReads(located.values(), source);
  return located;
}

/**
 * Limits how much of a small file is read for its tensors in any order, and how much of it is in memory
 * meanwhile.
 *
 * @param file Its name in the error message, and its size in bytes.
 * @throws {FileError} When tensors with strides need more than 64 times the file's size plus 64 MiB, or
 * the regions that have several of them more than twice its size plus 64 MiB.
 */
export function checkReads(
  tensors: Iterable<StoredTensor>,
  file: { readonly name: string; readonly size: number },
): void {
  const list = [...tensors], regions = findRegions(list), seen = new Set<Region>();
  let bytes = 0, kept = 0;
  for (const tensor of list) {
    const region = regions.get(tensor), { name, shape, strides, count } = tensor;
    if (region && !seen.has(region)) {
      const length = region.end - region.start;
      seen.add(region);
      bytes += length;
      if (region.tensors.length > 1) kept += length;
    } else if (!region && strides) bytes += singleReadBytes * count / runOf(tensor).length;
    const isTooMuch = bytes > maxReads * file.size + freeBytes ||
      kept > maxKept * file.size + freeBytes;
    if (!isTooMuch) continue;
    throw new FileError(
      file.name,
      `${escapeText(name)} ${formatShape(shape)} and others lie between each other's elements, ` +
        `too many for a file of ${file.size} bytes: save it after clone()`,
    );
  }
}

/** Finds the tensors of the state dict, by name: the value itself, or a dict inside it. */
function findTensors(value: Value, file: string): [string, TorchTensor][] {
  if (!(value instanceof Dict)) {
    throw new FileError(
      file,
      `holds ${describe(value)}, not a state dict: save model.state_dict() instead`,
    );
  }
  // Beside other values, under a usual key.
  for (const key of wrapperKeys) {
    const inner = value.map.get(key);
    if (inner instanceof Dict && isStateDict(inner)) return namedTensors(inner);
  }
  // The value itself, or the only state dict inside it.
  const own = isStateDict(value) ? namedTensors(value) : [], nested = nestedStateDicts(value);
  if (nested.size === 1) {
    const [[dict]] = nested, tensors = namedTensors(dict);
    if (tensors.length > own.length) return tensors; // its own are means, or a history of losses
  }
  if (own.length > 0) return own;
  if (nested.size > 1) {
    const names = [...nested.values()].map(escapeText);
    const more = names.length > maxNames ? ` and ${names.length - maxNames} more` : "";
    throw new FileError(
      file,
      `holds several state dicts (${names.slice(0, maxNames).join(", ")}${more}): ` +
        "save only one of them",
    );
  }
  // Only scalars or integers, under a usual key or in the value itself.
  for (const dict of [...wrapperKeys.map((key) => value.map.get(key)), value]) {
    const tensors = dict instanceof Dict ? namedTensors(dict) : [];
    if (tensors.length > 0) return tensors;
  }
  throw new FileError(file, "holds no tensors: not a state dict");
}

/** The tensors in a dict; other values (an epoch, `_extra_state`) are left out. */
function namedTensors(dict: Dict): [string, TorchTensor][] {
  const tensors: [string, TorchTensor][] = [];
  for (const [name, tensor] of dict.map) {
    if (tensor instanceof TorchTensor) tensors.push([name, tensor]);
  }
  return tensors;
}

/** Whether a dict has floats with axes: not only a loss, or the state of a generator. */
function isStateDict(dict: Dict): boolean {
  return namedTensors(dict).some(([, { dtype, size }]) =>
    isFloat(dtype) && !(size instanceof Tuple && !size.items.length)
  );
}

/** Whether a dict is the state of an optimiser, whose tensors are no weights. */
function isOptimizer(dict: Dict): boolean {
  return dict.map.has("state") && dict.map.has("param_groups");
}

/** The state dicts inside other dicts, with their keys joined by dots. */
function nestedStateDicts(root: Dict): Map<Dict, string> {
  const found = new Map<Dict, string>(), seen = new Set([root]);
  let level: [Dict, string][] = [[root, ""]];
  for (let depth = 0; depth < maxDepth && level.length > 0; depth++) {
    const next: [Dict, string][] = [];
    for (const [dict, path] of level) {
      for (const [key, value] of dict.map) {
        if (!(value instanceof Dict) || seen.has(value) || isOptimizer(value)) continue;
        if (seen.size === maxDicts) return found;
        seen.add(value);
        const name = path === "" ? key : `${path}.${key}`;
        if (isStateDict(value)) found.set(value, name);
        else next.push([value, name]);
      }
    }
    level = next;
  }
  return found;
}

/** Describes a value that is not a dict, for an error message. */
function describe(value: Value): string {
  if (value instanceof TorchTensor) return "one tensor";
  if (value instanceof List) return "a list";
  if (value instanceof Tuple) return "a tuple";
  return "a single value";
}
