/**
 * Implements the names in a PyTorch pickle: tensors, which have a storage, an offset, sizes and
 * strides, and a few helpers. No elements are read here.
 *
 * Source: PyTorch, `torch/_utils.py`, `torch/serialization.py` and `torch/storage.py`.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { type DType, itemSize } from "../dtype.ts";
import { DescriptionBudget } from "../io/description_budget.ts";
import { isCount } from "../layout.ts";
import { dictClasses, opaqueClasses } from "./data_classes.ts";
import type { PickleHost } from "./pickle.ts";
import {
  cost,
  Dict,
  emptyTuple,
  Global,
  keyCost,
  List,
  maxNameLength,
  Opaque,
  opaque,
  Tuple,
  type Value,
} from "./pickle_values.ts";
import { escapeText } from "../io/quote.ts";

/** The memory of one or more tensors. */
export interface TorchStorage {
  /** The name of its zip entry, or its number in the legacy format. */
  readonly key: string;
  /** The element type; U8 if only the tensors define it. */
  readonly dtype: DType;
  readonly byteLength: number;
}

/** A part of a storage. Only the legacy format has views that are not the whole storage. */
export class StorageView {
  constructor(
    readonly storage: TorchStorage,
    readonly byteOffset: number,
    readonly byteLength: number,
  ) {}
}

/** A tensor from a pickle, unchecked. The offset and strides are in elements. */
export class TorchTensor {
  constructor(
    readonly view: StorageView,
    readonly dtype: DType,
    readonly offset: Value,
    readonly size: Value,
    readonly stride: Value,
  ) {}
}

/** Element types by storage class. */
const storageTypes = new Map<string, DType>([
  ["torch.DoubleStorage", "F64"],
  ["torch.FloatStorage", "F32"],
  ["torch.HalfStorage", "F16"],
  ["torch.BFloat16Storage", "BF16"],
  ["torch.LongStorage", "I64"],
  ["torch.IntStorage", "I32"],
  ["torch.ShortStorage", "I16"],
  ["torch.CharStorage", "I8"],
  ["torch.ByteStorage", "U8"],
  ["torch.BoolStorage", "BOOL"],
  ["torch.ComplexFloatStorage", "C64"],
  ["torch.ComplexDoubleStorage", "C128"],
  ["torch.UntypedStorage", "U8"],
  ["torch.storage.UntypedStorage", "U8"],
]);

/** Element types by `torch.dtype`. */
const dtypes = new Map<string, DType>([
  ["torch.float64", "F64"],
  ["torch.float32", "F32"],
  ["torch.float16", "F16"],
  ["torch.bfloat16", "BF16"],
  ["torch.float8_e4m3fn", "F8_E4M3"],
  ["torch.float8_e5m2", "F8_E5M2"],
  ["torch.int64", "I64"],
  ["torch.int32", "I32"],
  ["torch.int16", "I16"],
  ["torch.int8", "I8"],
  ["torch.uint64", "U64"],
  ["torch.uint32", "U32"],
  ["torch.uint16", "U16"],
  ["torch.uint8", "U8"],
  ["torch.bool", "BOOL"],
  ["torch.complex64", "C64"],
  ["torch.complex128", "C128"],
]);

/** The names that a pickle may call to make tensors and sizes. */
const callables = new Set([
  "torch.Size",
  "torch.nn.parameter.Parameter",
  "torch._utils._rebuild_tensor",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_tensor_v3",
  "torch._utils._rebuild_parameter",
  "torch._utils._rebuild_parameter_with_state",
  "torch._tensor._rebuild_from_type_v2",
]);

/** Implements the names in a pickle that `torch.save()` wrote. */
export class TorchHost implements PickleHost {
  /** Every storage that the pickle has mentioned so far, by key. */
  readonly storages = new Map<string, TorchStorage>();

  readonly budget: DescriptionBudget;

  /** @param file The file name in error messages. */
  constructor(readonly file: string) {
    this.budget = new DescriptionBudget(file, "its pickle");
  }

  allows(name: string): boolean {
    return callables.has(name) || storageTypes.has(name) || dtypes.has(name) ||
      name === "torch.Tensor" || dictClasses.has(name) || opaqueClasses.has(name);
  }

  call(name: string, args: readonly Value[]): Value {
    if (dictClasses.has(name)) return this.#dict(args);
    if (opaqueClasses.has(name)) return opaque;
    switch (name) {
      case "torch.Size":
        return args[0] instanceof Tuple ? args[0] : emptyTuple;
      case "torch._utils._rebuild_tensor": // until PyTorch 0.3
      case "torch._utils._rebuild_tensor_v2":
        return this.#tensor(args, undefined, args[6]);
      case "torch._utils._rebuild_tensor_v3": // for types without a storage class of their own
        return this.#tensor(args, args[6], args[7]);
      case "torch.nn.parameter.Parameter": // until PyTorch 0.3
      case "torch._utils._rebuild_parameter":
      case "torch._utils._rebuild_parameter_with_state":
        if (args[0] instanceof TorchTensor) return args[0];
        break;
      case "torch._tensor._rebuild_from_type_v2": { // a tensor with Python attributes
        const [rebuild, type, inner] = args;
        if (
          rebuild instanceof Global && rebuild.name.startsWith("torch._utils._rebuild_") &&
          type instanceof Global && inner instanceof Tuple
        ) return this.call(rebuild.name, inner.items);
      }
    }
    throw new FileError(
      this.file,
      `the pickle calls ${escapeText(name)} with unexpected arguments: damaged`,
    );
  }

  persistentLoad(id: Value): Value {
    const [kind, type, key, , count, view] = id instanceof Tuple ? id.items : [];
    if (kind === "module") {
      throw new FileError(
        this.file,
        "contains a whole pickled model, not only weights: save model.state_dict() instead; " +
          "nothing was executed",
      );
    }
    const dtype = type instanceof Global ? storageTypes.get(type.name) : undefined;
    if (kind !== "storage" || !dtype || typeof key !== "string") throw this.#badStorage();
    if (key.length > maxNameLength) throw this.#badStorage(); // PyTorch's are numbers
    const byteLength = size(count) * itemSize(dtype);
    const storage = this.storages.get(key) ?? { key, dtype, byteLength };
    if (!(byteLength <= Number.MAX_SAFE_INTEGER) || storage.byteLength !== byteLength) {
      throw this.#badStorage();
    }
    this.storages.set(key, storage);
    this.budget.spend(cost.entry + 2 * cost.object);
    if (!(view instanceof Tuple)) return new StorageView(storage, 0, byteLength);

    const start = size(view.items[1]) * itemSize(dtype);
    const length = size(view.items[2]) * itemSize(dtype);
    if (!(start + length <= byteLength)) throw this.#badStorage();
    return new StorageView(storage, start, length);
  }

  build(object: Value, state: Value): void {
    // The `_metadata` of a state dict has the version of each module, which does not matter here.
    if (object instanceof Dict || object instanceof Opaque) return;
    // The state of a parameter until PyTorch 0.3: requires_grad, volatile, hooks.
    if (object instanceof TorchTensor && state instanceof Tuple && state.items.length === 3) {
      if (typeof state.items[0] === "boolean") return;
    }
    throw new FileError(this.file, "the pickle sets the state of an object that has none: damaged");
  }

  /**
   * OrderedDict(), Counter({…}), defaultdict(list, {…}), or as Python 2 writes it,
   * OrderedDict([[key, value], …]).
   */
  #dict(args: readonly Value[]): Dict {
    // Skipped arguments count, too: a pickle can pass the same ones any number of times.
    this.budget.spend(cost.dict + cost.item * args.length);
    const dict = new Dict();
    for (const arg of args) {
      const pairs = arg instanceof Dict ? arg.map : arg instanceof List ? arg.items : [];
      for (const pair of pairs) {
        this.budget.spend(cost.item);
        const items = pair instanceof List || pair instanceof Tuple ? pair.items : pair;
        if (!Array.isArray(items) || items.length !== 2) continue;
        this.budget.spend(cost.entry + keyCost(items[0]) + (dict.isEmpty ? cost.firstEntry : 0));
        dict.set(items[0], items[1]);
      }
    }
    return dict;
  }

  #tensor(args: readonly Value[], type: Value | undefined, metadata: Value | undefined) {
    const [view, offset, sizes, stride] = args;
    const dtype = type instanceof Global
      ? dtypes.get(type.name)
      : view instanceof StorageView
      ? view.storage.dtype
      : undefined;
    if (!(view instanceof StorageView) || !dtype || type === null) throw this.#badStorage();
    if (metadata instanceof Dict && (metadata.map.get("neg") || metadata.map.get("conj"))) {
      // The stored numbers are not the values.
      throw new FileError(
        this.file,
        "holds a lazily negated or conjugated tensor: save it again after resolve_neg()",
      );
    }
    this.budget.spend(cost.object);
    return new TorchTensor(view, dtype, offset, sizes, stride);
  }

  #badStorage(): FileError {
    return new FileError(this.file, "the pickle describes an impossible storage: damaged");
  }
}

/** A size from a pickle. Invalid ones become NaN, which fails every comparison. */
function size(value: Value | undefined): number {
  return isCount(value) ? value : NaN;
}
