/**
 * The weights of a convolution in the form that its kernel takes: packed, with the batch normalisation
 * folded in.
 *
 * @module
 */

import { disposeOnError } from "../ops/checks.ts";
import { foldConv } from "../ops/fold.ts";
import { prepareConv, type PreparedConv } from "../ops/prepared_conv.ts";
import { QuantizedConv } from "../ops/quantize_conv.ts";
import type { Tensor } from "../tensor.ts";
import type { BatchNorm } from "./norm.ts";

/** The weights and the bias of a convolution. */
interface ConvOperands<W> {
  readonly weight: W;
  readonly bias: Tensor | null;
}

/** How to prepare the weights. */
interface Preparation {
  /** The batch normalisation to fold into the weights. */
  readonly norm: BatchNorm | undefined;
  /** Whether to pack the weights for the direct kernel. */
  readonly pack: boolean;
  /** Number of groups that the channels are split into. */
  readonly groups: number;
}

/** Prepared operands. */
interface Prepared extends ConvOperands<Tensor | PreparedConv | QuantizedConv> {
  /** The tensors that were created for them, to free later. */
  readonly owned: readonly Disposable[];
}

/** What operands were computed from. */
interface Origin extends Preparation {
  readonly eps: number | undefined;
  readonly tensors: readonly (Tensor | null | undefined)[];
  readonly versions: readonly (number | undefined)[];
}

/** Packs and folds weights once, and again after a tensor that they come from has changed. */
export class PreparedWeights {
  /** Counts how often prepared operands became invalid. */
  changes = 0;
  #prepared: Prepared | undefined;
  #origin: Origin | undefined;

  /** Returns the operands for the kernels. They stay valid until the next call. */
  prepare(
    plain: ConvOperands<Tensor | QuantizedConv>,
    preparation: Preparation,
  ): ConvOperands<Tensor | PreparedConv | QuantizedConv> {
    const { norm, pack } = preparation;
    if (!norm && (!pack || plain.weight instanceof QuantizedConv)) return plain;
    const tensors = sourcesOf(plain, norm);
    if (!this.#prepared || !this.#origin || !isOrigin(this.#origin, tensors, preparation)) {
      this.dispose();
      this.#prepared = prepare(plain, preparation);
      const versions = tensors.map((tensor) => tensor?.version);
      this.#origin = { ...preparation, eps: norm?.options.eps, tensors, versions };
    }
    const { weight, bias } = this.#prepared;
    return { weight, bias: norm ? bias : plain.bias };
  }

  /** Frees the memory. */
  dispose(): void {
    for (const owned of this.#prepared?.owned ?? []) owned[Symbol.dispose]();
    this.#prepared = this.#origin = undefined;
    this.changes++;
  }
}

/** The tensors that operands are computed from. */
function sourcesOf(
  { weight, bias }: ConvOperands<Tensor | QuantizedConv>,
  norm: BatchNorm | undefined,
): (Tensor | null | undefined)[] {
  const values = weight instanceof QuantizedConv ? weight.scale : weight;
  if (!norm) return [values];
  const { runningMean, runningVar, weight: factor, bias: offset } = norm.tensors;
  return [values, bias, runningMean, runningVar, factor, offset];
}

/** Whether operands were computed from these tensors, with their present values. */
function isOrigin(
  origin: Origin,
  tensors: readonly (Tensor | null | undefined)[],
  { norm, pack }: Preparation,
): boolean {
  if (origin.norm !== norm || origin.pack !== pack || origin.eps !== norm?.options.eps) {
    return false;
  }
  for (let i = 0; i < tensors.length; i++) { // not every(): each pass runs this for each layer
    const tensor = tensors[i];
    if (origin.tensors[i] !== tensor || origin.versions[i] !== tensor?.version) return false;
  }
  return true;
}

/** Folds and packs. */
function prepare(
  { weight, bias }: ConvOperands<Tensor | QuantizedConv>,
  { norm, pack, groups }: Preparation,
): Prepared {
  if (weight instanceof QuantizedConv) return foldQuantized(weight, bias, norm!);
  if (!norm) {
    const packed = prepareConv(weight, { groups });
    return { weight: packed, bias, owned: [packed] };
  }
  const folded = foldConv(weight, bias, norm.tensors, { eps: norm.options.eps });
  if (!pack) return { ...folded, owned: [folded.weight, folded.bias] };
  using unpacked = folded.weight;
  return disposeOnError(folded.bias, (bias) => {
    const packed = prepareConv(unpacked, { groups });
    return { weight: packed, bias, owned: [packed, bias] };
  });
}

/** Folds a batch normalisation into the scales of rounded weights. The integers stay the same. */
function foldQuantized(weight: QuantizedConv, bias: Tensor | null, norm: BatchNorm): Prepared {
  const { shape, groups, packed, scale } = weight, rows = scale.view([scale.size, 1, 1, 1]);
  const folded = foldConv(rows, bias, norm.tensors, { eps: norm.options.eps });
  const scales = folded.weight.view([scale.size]);
  const scaled = new QuantizedConv(shape, groups, packed, scales);
  return { weight: scaled, bias: folded.bias, owned: [folded.weight, folded.bias] };
}
