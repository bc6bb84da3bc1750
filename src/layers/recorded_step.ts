/**
 * Steps of a forward pass that are computed again without checking and preparing them again. In small
 * networks these take a tenth of the time.
 *
 * @module
 */

import type { ComputeBackend, KernelCall } from "../backend/interface.ts";
import type { TensorStorage } from "../tensor.ts";
import type { Repeatable } from "./forward.ts";
import type { Step } from "./fuse.ts";
import type { Layer } from "./layer.ts";
import type { Parameter } from "./parameter.ts";

/** The memory of a parameter's values, and how often it had been written. */
interface Source {
  readonly parameter: Parameter;
  readonly storage: TensorStorage | undefined;
  readonly version: number | undefined;
}

/** The kernels that computed a step of a plan, which can be called again for the same tensors. */
export class RecordedStep {
  readonly #layer: Repeatable;
  readonly #version: number;
  readonly #sources: readonly Source[];
  readonly #calls: readonly KernelCall[];

  private constructor(
    layer: Repeatable,
    version: number,
    sources: readonly Source[],
    calls: readonly KernelCall[],
  ) {
    this.#layer = layer;
    this.#version = version;
    this.#sources = sources;
    this.#calls = calls;
  }

  /**
   * Computes a step, and records the kernels that it calls.
   *
   * @returns undefined if they cannot be called again.
   */
  static record(
    backend: ComputeBackend,
    { layer, norm }: Step,
    compute: () => void,
  ): RecordedStep | undefined {
    const repeatable = layer as Layer & Partial<Repeatable>;
    if (!backend.record || repeatable.kernelVersion === undefined) {
      compute();
      return undefined;
    }
    const calls = backend.record(compute), { kernelVersion: version } = repeatable;
    if (!calls || version === undefined) return undefined;
    const parameters = [layer, ...norm ? [norm] : []].flatMap((l) => Object.values(l.parameters));
    return new RecordedStep(layer as Layer & Repeatable, version, parameters.map(sourceOf), calls);
  }

  /** Computes the step again. Returns false, and does nothing, if it has changed. */
  repeat(): boolean {
    if (this.#layer.kernelVersion !== this.#version) return false;
    for (const { parameter, storage, version } of this.#sources) {
      const present = parameter.storage;
      if (present !== storage || present?.version !== version || present?.freed) return false;
    }
    for (const call of this.#calls) call();
    return true;
  }
}

function sourceOf(parameter: Parameter): Source {
  const { storage } = parameter;
  return { parameter, storage, version: storage?.version };
}
