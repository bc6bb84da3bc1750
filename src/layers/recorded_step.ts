/**
 * Steps of a forward pass that call the same kernels in each pass. The first pass records the calls, and
 * later passes repeat them without the checks and preparations of the layer. These take a tenth of the
 * time in small networks.
 *
 * @module
 */

import type { ComputeBackend, KernelCall } from "../backend/interface.ts";
import { Tensor, type TensorStorage } from "../tensor.ts";
import type { Repeatable } from "./forward.ts";
import type { Step } from "./fuse.ts";
import type { Layer } from "./layer.ts";
import type { Parameter } from "./parameter.ts";

/** The memory of a parameter's values, and its version when the step was recorded. */
interface Source {
  readonly parameter: Parameter;
  readonly storage: TensorStorage | undefined;
  readonly version: number | undefined;
}

/** The tensors that each pass replaces by its own. */
interface Ends {
  /** The input of the network. */
  readonly x: Tensor;
  /** The result of the step, if the caller takes it. */
  readonly result: Tensor | undefined;
}

/** The kernels that computed a step of a plan, which can be called again. */
export class RecordedStep {
  readonly #layer: Repeatable;
  readonly #version: number;
  readonly #sources: readonly Source[];
  readonly #calls: readonly KernelCall[];
  readonly #ends: Ends;

  private constructor(
    { layer, norm }: Step,
    version: number,
    calls: readonly KernelCall[],
    ends: Ends,
  ) {
    const parameters = [layer, ...norm ? [norm] : []].flatMap((l) => [...l.stateDict().values()]);
    this.#layer = layer as Layer & Repeatable;
    this.#version = version;
    this.#sources = parameters.map(sourceOf);
    this.#calls = calls;
    this.#ends = ends;
  }

  /**
   * Computes a step, and records the kernels that it calls.
   *
   * @returns undefined if they cannot be called again.
   */
  static record(
    backend: ComputeBackend,
    step: Step,
    ends: Ends,
    compute: () => void,
  ): RecordedStep | undefined {
    const layer = step.layer as Layer & Partial<Repeatable>;
    if (!backend.record || layer.kernelVersion === undefined) {
      compute();
      return undefined;
    }
    const calls = backend.record(compute), { kernelVersion: version } = layer;
    if (!calls || version === undefined || calls.some((call) => hidesEnd(call, ends))) {
      return undefined;
    }
    return new RecordedStep(step, version, calls, ends);
  }

  /** Computes the step again. Returns false, and does nothing, if its layer or a parameter has changed. */
  repeat({ x, result }: Ends): boolean {
    if (this.#layer.kernelVersion !== this.#version) return false;
    for (const { parameter, storage, version } of this.#sources) {
      const present = parameter.storage;
      if (present !== storage || present?.version !== version || present?.freed) return false;
      if (storage && storage === result?.storage) return false; // its layer says what is wrong
    }
    const { x: lastX, result: lastResult } = this.#ends;
    for (const { kernel, args } of this.#calls) {
      kernel(...args.map((arg) => arg === lastX ? x : arg && arg === lastResult ? result : arg));
    }
    return true;
  }
}

/** Whether a call takes a view of an end, or an end inside an object: `repeat()` cannot replace these. */
function hidesEnd({ args }: KernelCall, { x, result }: Ends): boolean {
  const sharesMemory = (value: unknown) => {
    return value instanceof Tensor && [x, result].some((end) => end?.storage === value.storage);
  };
  return args.some((arg) => {
    if (arg === x || arg && arg === result) return false;
    return sharesMemory(arg) || Object.values(arg ?? {}).some(sharesMemory);
  });
}

function sourceOf(parameter: Parameter): Source {
  const { storage } = parameter;
  return { parameter, storage, version: storage?.version };
}
