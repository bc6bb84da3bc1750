/**
 * Finding the state dict in what a PyTorch pickle held.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { type Extent, placeTensor, type StoredTensor } from "../layout.ts";
import { Dict, List, Tuple, type Value } from "./pickle_values.ts";
import type { ByteSource } from "../io/source.ts";
import { shown } from "../io/quote.ts";
import { type StorageView, TorchTensor } from "./torch_objects.ts";

/** Where training scripts put the state dict when they save more than that. */
const wrappers = ["state_dict", "model", "model_state_dict"];

/** What DataParallel puts before every name. */
const parallelPrefix = "module.";

/**
 * The tensors of a state dict by their names, each with its place in the file.
 *
 * @param value What the pickle held.
 * @param locate Where a storage is in the file.
 * @param source The file.
 * @throws {FileError} When there is no state dict, or a tensor is not where it should be.
 */
export async function placeStateDict(
  value: Value,
  locate: (view: StorageView, name: string) => Extent | Promise<Extent>,
  source: ByteSource,
): Promise<Map<string, StoredTensor>> {
  const tensors = findTensors(value, source.name);
  const parallel = tensors.every(([name]) => name.startsWith(parallelPrefix));
  const placed = new Map<string, StoredTensor>();
  for (const [fullName, tensor] of tensors) {
    const name = parallel ? fullName.slice(parallelPrefix.length) : fullName;
    const { view, dtype, offset, size, stride } = tensor;
    if (!(size instanceof Tuple && stride instanceof Tuple)) {
      throw new FileError(source.name, `${shown(name)} has no shape: damaged`);
    }
    const { start, later } = await locate(view, name);
    const part = { start: start + view.byteOffset, length: view.byteLength, later };
    // placeTensor checks that the shape holds nothing but counts.
    const entry = { name, dtype, shape: size.items as number[] };
    placed.set(name, placeTensor(entry, stride.items, part, offset, source));
  }
  return placed;
}

function findTensors(value: Value, file: string): [string, TorchTensor][] {
  if (!(value instanceof Dict)) {
    throw new FileError(
      file,
      `holds ${describe(value)}, not a state dict: save model.state_dict() instead`,
    );
  }
  for (const wrapper of wrappers) {
    const inner = value.map.get(wrapper);
    const tensors = inner instanceof Dict ? namedTensors(inner) : [];
    if (tensors.length > 0) return tensors;
  }
  const tensors = namedTensors(value);
  if (tensors.length === 0) throw new FileError(file, "holds no tensors: not a state dict");
  return tensors;
}

/** Other things live beside tensors (an epoch, `_extra_state`); they are left out. */
function namedTensors(dict: Dict): [string, TorchTensor][] {
  const tensors: [string, TorchTensor][] = [];
  for (const [name, tensor] of dict.map) {
    if (typeof name === "string" && tensor instanceof TorchTensor) tensors.push([name, tensor]);
  }
  return tensors;
}

function describe(value: Value): string {
  if (value instanceof TorchTensor) return "one tensor";
  if (value instanceof List) return "a list";
  if (value instanceof Tuple) return "a tuple";
  return "a single value";
}
