/**
 * How the forward pass of a sequence uses memory.
 *
 * @module
 */

import { disposeOnError } from "../ops/checks.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import type { Layer } from "./layer.ts";

/** A layer, and the ReLU after it if the layer computes that, too. */
export interface FusedLayer {
  readonly layer: Layer;
  readonly activation?: "relu";
}

/** One step of a forward pass. */
interface Step extends FusedLayer {
  /** The shape of the output. */
  readonly shape: Shape;
  /**
   * The tensor to write to. Undefined for views, and for the last step, which writes the result.
   */
  readonly out?: Tensor;
}

/** The steps of a forward pass for one input shape. */
export interface Plan {
  readonly input: Tensor["shape"];
  readonly backend: Tensor["backend"];
  readonly steps: readonly Step[];
  /** The memory that the outputs of the steps share. */
  readonly arena: readonly Tensor[];
}

/** Joins each ReLU to the layer before it, if that can compute it. */
export function fuseRelus(layers: readonly Layer[]): FusedLayer[] {
  return layers.flatMap((layer, i) => {
    if (layer.type === "ReLU" && layers[i - 1]?.fusesActivation) return [];
    const activation = layer.fusesActivation && layers[i + 1]?.type === "ReLU" ? "relu" : undefined;
    return [{ layer, activation } as const];
  });
}

/** Allocates both blocks of memory, or none. A block of size 0 needs no memory. */
function allocateArena(
  backend: Tensor["backend"],
  [first, second]: number[],
): readonly (Tensor | undefined)[] {
  if (first === 0) return [];
  return disposeOnError(
    backend.empty([first]),
    (block) => [block, second > 0 ? backend.empty([second]) : undefined],
  );
}

/** Plans a forward pass: which of two blocks of memory each step writes to, and their sizes. */
export function createPlan(layers: readonly FusedLayer[], x: Tensor): Plan {
  const last = layers.findLastIndex(({ layer }) => !layer.aliases);

  const sizes = [0, 0];
  let block = -1, shape = x.shape; // block −1 is the caller's input
  const outputs = layers.map((fused, i) => {
    shape = fused.layer.outputShape(shape);
    if (!fused.layer.aliases && i !== last) {
      if (!(fused.layer.inPlace && block >= 0)) block = block === 0 ? 1 : 0;
      sizes[block] = Math.max(sizes[block], elements(shape));
    }
    return { ...fused, shape, block, usesBlock: !fused.layer.aliases && i < last };
  });
  const arena = allocateArena(x.backend, sizes);
  const steps = outputs.map(({ layer, activation, shape, block, usesBlock }) => ({
    layer,
    activation,
    shape,
    out: usesBlock ? arena[block]!.view(shape) : undefined,
  }));
  return {
    input: x.shape,
    backend: x.backend,
    steps,
    arena: arena.filter((tensor) => tensor !== undefined),
  };
}
