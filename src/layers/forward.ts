/**
 * The options of forward passes, and what they save for backward passes.
 *
 * @module
 */

import type { BatchNormTensors } from "../backend/geometry.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import { checkOptions, checkTensor } from "../ops/checks.ts";
import { cat } from "../ops/concat.ts";
import type { FusedActivation } from "../ops/fused.ts";
import type { Shape, Tensor } from "../tensor.ts";

/**
 * A batch normalisation that a convolution can compute: a {@linkcode BatchNorm}.
 */
export interface FoldableNorm {
  /** Whether it is in training mode, where it cannot be folded. */
  readonly training: boolean;
  /** Its options. */
  readonly options: { readonly eps?: number };
  /** Its statistics, weight and bias. */
  readonly tensors: BatchNormTensors;
}

/** Options of a forward pass. */
export interface ForwardOptions {
  /** The tensor to write the result to. Default: a new tensor. */
  readonly out?: Tensor;
  /**
   * Applies an activation to the result. Only for layers whose `fusesActivation` is true, and in
   * training mode only "relu".
   */
  readonly activation?: FusedActivation;
  /**
   * A tensor in the shape of the result, which is added before the activation. It may be `out`. Only
   * for layers whose `fusesResidual` is true, in evaluation mode.
   */
  readonly residual?: Tensor;
  /**
   * A batch normalisation to apply before the residual is added. Only for convolutions, in
   * evaluation mode: they fold it into their weights once.
   */
  readonly norm?: FoldableNorm;
}

/**
 * A layer whose forward pass in evaluation mode calls the same kernels each time.
 *
 * @internal
 */
export interface Repeatable {
  /**
   * The version of what decides, besides the parameters, which kernels a forward pass calls. Recorded
   * calls of another version are out of date. Undefined if each pass may call other kernels: in a class
   * that overrides the forward pass, or the backward pass of an activation.
   */
  readonly kernelVersion: number | undefined;
}

/** Whether the class of a layer overrides the forward pass of a {@linkcode Repeatable} layer. */
export function overridesForward(layer: object): boolean {
  return "kernelVersion" in layer && layer.kernelVersion === undefined;
}

/** The options of what a layer can compute besides its own output. */
const fusedNames = ["activation", "residual", "norm"] as const;
type Fused = typeof fusedNames[number];

const forwardNames = [...fusedNames, "out"] as const;

/**
 * Checks the arguments of a forward pass, and returns where its result goes.
 *
 * @param fuses The options that the layer supports besides `out`. It refuses the others.
 */
export function checkForward(
  type: string,
  x: Tensor,
  options: ForwardOptions,
  fuses: readonly Fused[] = [],
): Tensor | undefined {
  checkTensor(type, "x", x, x);
  return checkForwardOptions(type, options, fuses);
}

/** Checks the options of a forward pass, like {@linkcode checkForward}. */
export function checkForwardOptions(
  type: string,
  options: ForwardOptions,
  fuses: readonly Fused[] = [],
): Tensor | undefined {
  checkOptions(type, options, forwardNames);
  for (const name of fusedNames) {
    if ((options[name] ?? null) === null || fuses.includes(name)) continue;
    throw new ArgumentError(type, name, options[name], "undefined: this layer does not compute it");
  }
  return options.out;
}

/** Checks the options of a forward pass in training mode. The backward pass supports a fused ReLU only. */
export function checkTrainingForward(
  type: string,
  { activation = "relu", residual, norm }: ForwardOptions,
): void {
  if (activation === "relu" && !residual && !norm) return;
  throw new PembrokeError(
    `${type}: in training mode, forward() can fuse a ReLU only, no other activation or layer`,
  );
}

/** Refuses to overwrite an input that the backward pass needs. */
export function checkNotInPlace(type: string, out: Tensor | undefined, ...inputs: Tensor[]): void {
  if (inputs.every(({ storage }) => storage !== out?.storage)) return;
  const expected = "another tensor in training mode";
  throw new ArgumentError(type, "out", out, expected, "the memory of an input");
}

/**
 * Returns a view of the input, for layers that compute nothing. They cannot write to `out`.
 *
 * @param copies Whether to copy the input instead. Classes that override the forward pass need this,
 * because a graph gives them an `out`, as it does to layers that compute something.
 */
export function viewAs(
  type: string,
  x: Tensor,
  shape: Shape,
  { out }: ForwardOptions,
  copies = false,
): Tensor {
  if (copies) return cat([x.view(shape)], 0, { out });
  if (out === undefined) return x.view(shape);
  throw new ArgumentError(type, "out", out, "undefined: the result is a view of x", "a tensor");
}

/**
 * What a forward pass in training mode saves for the backward pass: tensors, or the shape of the
 * input. Each is returned once.
 */
export class Saved {
  /** How often something was saved. */
  count = 0;
  #tensors: readonly { readonly tensor: Tensor; readonly version: number }[] | undefined;
  #shape: Shape | undefined;

  /** Saves tensors. */
  keep(tensors: readonly Tensor[]): void {
    this.count++;
    this.#tensors = tensors.map((tensor) => ({ tensor, version: tensor.version }));
  }

  /** Saves the shape of the input. */
  keepShape(shape: Shape): void {
    this.count++;
    this.#shape = shape;
  }

  /** Drops everything. */
  clear(): void {
    this.#tensors = this.#shape = undefined;
  }

  /** Returns the tensors. */
  take(type: string): readonly Tensor[] {
    const saved = this.#tensors ?? throwNotSaved(type);
    this.#tensors = undefined;
    return saved.map(({ tensor, version }) => {
      if (tensor.version === version) return tensor;
      throw new PembrokeError(
        `${type}: a tensor that backward() needs was overwritten after forward()`,
      );
    });
  }

  /** Returns the shape. */
  takeShape(type: string): Shape {
    const shape = this.#shape ?? throwNotSaved(type);
    this.#shape = undefined;
    return shape;
  }
}

/** Throws the error of a backward pass without a forward pass. */
export function throwNotSaved(type: string): never {
  throw new PembrokeError(
    `${type}: backward() needs a forward pass in training mode; ` +
      "call train(), then forward(), before each backward()",
  );
}
