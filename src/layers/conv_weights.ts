/**
 * What the kernels of a convolution take for its weights.
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

/** What to prepare. */
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
  /** The results to free. */
  readonly owned: readonly Disposable[];
}

/** What operands were computed from. */
interface Origin extends Preparation {
  readonly eps: number | undefined;
  readonly sources: readonly { readonly tensor: Tensor; readonly version: number }[];
}

/** Packs and folds weights once, and again after a tensor that they come from has changed. */
export class ConvWeights {
  #prepared: Prepared | undefined;
  #origin: Origin | undefined;

  /** Returns the operands for the kernels. They stay valid until the next call. */
  prepare(
    plain: ConvOperands<Tensor | QuantizedConv>,
    preparation: Preparation,
  ): ConvOperands<Tensor | PreparedConv | QuantizedConv> {
    const { norm, pack } = preparation;
    if (!norm && (!pack || plain.weight instanceof QuantizedConv)) return plain;
    const origin = originOf(plain, preparation);
    if (!this.#prepared || !this.#origin || !isSame(this.#origin, origin)) {
      this.dispose();
      this.#prepared = prepare(plain, preparation);
      this.#origin = origin;
    }
    const { weight, bias } = this.#prepared;
    return { weight, bias: norm ? bias : plain.bias };
  }

  /** Frees the memory. */
  dispose(): void {
    for (const owned of this.#prepared?.owned ?? []) owned[Symbol.dispose]();
    this.#prepared = this.#origin = undefined;
  }
}

function originOf(
  { weight, bias }: ConvOperands<Tensor | QuantizedConv>,
  preparation: Preparation,
): Origin {
  const { norm } = preparation;
  const values = weight instanceof QuantizedConv ? weight.scale : weight;
  const tensors = norm ? [values, bias, ...Object.values(norm.tensors)] : [values];
  const sources = tensors.filter((tensor) => tensor !== null)
    .map((tensor) => ({ tensor, version: tensor.version }));
  return { ...preparation, eps: norm?.options.eps, sources };
}

function isSame(a: Origin, b: Origin): boolean {
  return a.norm === b.norm && a.pack === b.pack && a.eps === b.eps &&
    a.sources.every(({ tensor, version }, i) =>
      tensor === b.sources[i]?.tensor && version === b.sources[i].version
    );
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

/** Folds a batch normalisation into scales: the integers stay. */
function foldQuantized(weight: QuantizedConv, bias: Tensor | null, norm: BatchNorm): Prepared {
  const { shape, groups, packed, scale } = weight, rows = scale.view([scale.size, 1, 1, 1]);
  const folded = foldConv(rows, bias, norm.tensors, { eps: norm.options.eps });
  const scales = folded.weight.view([scale.size]);
  const scaled = new QuantizedConv(shape, groups, packed, scales);
  return { weight: scaled, bias: folded.bias, owned: [folded.weight, folded.bias] };
}
