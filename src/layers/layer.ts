/**
 * The base class of all layers.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import { reluBackward } from "../ops/activation_backward.ts";
import { checkBackend, checkOptions, checkResult, checkTensor } from "../ops/checks.ts";
import type { FusedActivation } from "../ops/fused.ts";
import { checkGenerator, RandomGenerator } from "../random.ts";
import { inspect, type Shape, type Tensor } from "../tensor.ts";
import { type ForwardOptions, Saved } from "./forward.ts";
import { distinct, initNames, type InitOptions, type Parameter, textOf } from "./parameter.ts";

export { checkForward, type ForwardOptions, viewAs } from "./forward.ts";
export { initNames, type InitOptions } from "./parameter.ts";

/**
 * The base class of layers. A new layer has no memory: {@linkcode Layer.init} or loading weights
 * gives it values on a backend. Its shapes, parameters and costs are known before.
 */
export abstract class Layer implements Disposable {
  /** The name in `torch.nn`. */
  abstract readonly type: string;
  /** The layer's own parameters by name, in PyTorch's order. Undefined for one that is turned off. */
  readonly parameters: Readonly<Record<string, Parameter | undefined>> = {};
  /** Whether the forward pass supports the option `activation`. In training mode only a ReLU. */
  readonly fusesActivation: boolean = false;
  /** Whether the forward pass in evaluation mode supports the option `residual`. */
  readonly fusesResidual: boolean = false;
  /** Whether the forward pass in evaluation mode supports the option `norm`. */
  readonly fusesNorm: boolean = false;
  /** The activation that this layer applies, if the kernels of other layers can apply it, too. */
  readonly fusedAs?: FusedActivation;
  /** Whether the layer adds two inputs of the same shape, as the kernels of other layers can. */
  readonly addsTwo: boolean = false;
  /** Whether the forward pass may overwrite its input. */
  readonly inPlace: boolean = false;
  /** Whether the forward pass in training mode draws random numbers. */
  readonly isRandom: boolean = false;
  /** The random numbers of dropout in training mode. Undefined in evaluation mode, the default. */
  protected generator: RandomGenerator | undefined;
  /** The generator of the last call of `train()`. The next call continues with it. */
  #lastGenerator: RandomGenerator | undefined;
  readonly #saved = new Saved();
  #isFrozen = false;

  /** Whether the output is a view of the input, and nothing is computed. */
  get aliases(): boolean {
    return false;
  }

  /** Whether the layer is in training mode. */
  get training(): boolean {
    return this.generator !== undefined;
  }

  /** @internal Grows with every forward pass in training mode. */
  get passes(): number {
    return this.#saved.count;
  }

  /**
   * Returns the shape of the output for an input shape.
   *
   * @throws {ArgumentError} When the layer does not support the input shape.
   */
  abstract outputShape(input: Shape): Shape;

  /**
   * Computes the output, in `out` if there is one. The caller disposes of it.
   *
   * @throws {ArgumentError} When the shape of the input or of `out` does not fit.
   * @throws {PembrokeError} When the layer has no values yet.
   */
  abstract forward(x: Tensor, options?: ForwardOptions): Tensor;

  /**
   * Computes the gradient of the input, and adds the gradients of the parameters to their `grad`.
   * Call it once after a forward pass in training mode, while that pass's input and output are
   * alive.
   *
   * @param dy The gradient of the output, in the output's shape. It is not changed.
   * @returns The gradient of the input, which the caller disposes of. If the layer's output is a
   * view, so is the gradient.
   * @throws {ArgumentError} When the shape of dy does not fit.
   * @throws {PembrokeError} Without a forward pass in training mode, or when the tensors that it
   * saved were changed or disposed since.
   */
  abstract backward(dy: Tensor): Tensor;

  /** @internal The shape of the output for the shapes of all inputs. Graphs call this. */
  outputShapeOf(inputs: readonly Shape[]): Shape {
    return this.outputShape(this.#only(inputs));
  }

  /** @internal Computes the output from all inputs. Graphs call this. */
  forwardFrom(inputs: readonly Tensor[], options: ForwardOptions = {}): Tensor {
    return this.forward(this.#only(inputs), options);
  }

  /**
   * Computes the gradient of each input, as `backward` does. Graphs call this, not `backward`. Where a
   * gradient equals dy, the entry may be dy itself.
   *
   * @internal
   */
  backwardInto(dy: Tensor): readonly Tensor[] {
    return [checkResult(this.type, "backward", this.backward(dy))];
  }

  /** @internal Multiply-accumulates of a forward pass for the shapes of all inputs. */
  macsOf(inputs: readonly Shape[]): number {
    return this.macs(this.#only(inputs));
  }

  #only<T>(inputs: readonly T[]): T {
    if (inputs.length === 1) return inputs[0];
    throw new ArgumentError(this.type, "the number of inputs", inputs.length, "1");
  }

  /**
   * Computes the gradients of the parameters only. It is faster than {@linkcode Layer.backward} and
   * throws the same errors.
   */
  backwardParameters(dy: Tensor): void {
    checkResult(this.type, "backward", this.backward(dy)).dispose();
  }

  /**
   * Enters training mode: forward passes save what the backward pass needs, dropout is active, and
   * batch normalisation uses the statistics of the batch. Unlike in PyTorch, layers start in
   * evaluation mode.
   *
   * @param generator The random numbers of dropout. Default: the generator of the last call, or a new
   * one with the seed 0.
   * @throws {PembrokeError} When weights are stored in fewer than 32 bits.
   */
  train(generator: RandomGenerator = this.nextGenerator): this {
    checkGenerator(this.type, generator);
    this.generator = this.#lastGenerator = generator;
    return this;
  }

  /** The default random numbers of {@linkcode Layer.train}. */
  protected get nextGenerator(): RandomGenerator {
    return this.#lastGenerator ?? new RandomGenerator(0);
  }

  /** Enters evaluation mode and drops what the last forward pass saved. */
  eval(): this {
    this.generator = undefined;
    this.forget();
    return this;
  }

  /**
   * Drops what the last forward pass in training mode saved, and frees its memory.
   *
   * @internal
   */
  forget(): void {
    this.#saved.clear();
  }

  /**
   * Whether no parameter is trained. For a layer without trainable parameters: whether
   * {@linkcode Layer.freeze} was called.
   */
  get frozen(): boolean {
    const learned = [...this.stateDict().values()].filter(({ isBuffer }) => !isBuffer);
    return learned.length > 0 ? learned.every(({ requiresGrad }) => !requiresGrad) : this.#isFrozen;
  }

  /**
   * Stops training all parameters: sets {@linkcode Parameter.requiresGrad} to false and frees the
   * gradients. A frozen batch normalisation uses its running statistics in training mode, too, and does
   * not change them.
   *
   * In a {@linkcode Graph}, frozen layers before the first trained one run in evaluation mode: they keep
   * nothing for a backward pass, and dropout between them is off.
   */
  freeze(): this {
    for (const parameter of this.stateDict().values()) parameter.freeze();
    this.#isFrozen = true;
    return this;
  }

  /** Trains all parameters again, except running statistics. */
  unfreeze(): this {
    for (const parameter of this.stateDict().values()) {
      parameter.requiresGrad = !parameter.isBuffer;
    }
    this.#isFrozen = false;
    return this;
  }

  /** Sets the gradients of all parameters to 0. */
  zeroGrad(): void {
    for (const parameter of this.stateDict().values()) parameter.zeroGrad();
  }

  /** Multiply-accumulates of a forward pass for an input shape. 0 for layers without weights. */
  macs(_input: Shape): number {
    return 0;
  }

  /** All parameters by name, like PyTorch's `state_dict`. One that layers share has several names. */
  stateDict(): Map<string, Parameter> {
    const all = Object.entries(this.parameters);
    return new Map(all.filter((entry): entry is [string, Parameter] => entry[1] !== undefined));
  }

  /**
   * The backend that holds the parameters.
   *
   * @throws {PembrokeError} When they have no values yet.
   */
  get backend(): Backend {
    const [first] = this.stateDict().values();
    if (first?.backend) return first.backend;
    throw this.#noValues();
  }

  /**
   * Rounds the weights of convolutions and fully connected layers to 8 bits, a quarter of the
   * memory: see {@linkcode Precision}. Each output gets a scale: its largest magnitude, divided by
   * 127. Convolutions divide by the integer from 112 to 127 that gives the least squared error. The
   * float32 values are freed, and weights that are loaded later are rounded, too. Names and shapes
   * in the state dict stay the same. The layer cannot be trained afterwards.
   *
   * @throws {PembrokeError} In training mode, or when the weights are stored in float16.
   */
  quantize(): this {
    if (this.training) {
      throw new PembrokeError(
        `${this.type}: cannot quantize() in training mode; call eval() first`,
      );
    }
    return this;
  }

  /**
   * Allocates memory on a backend and fills it with the initial values that PyTorch would draw.
   *
   * @throws {ArgumentError} When an argument is invalid: the layer keeps its present values.
   * @throws {PembrokeError} When the backend is out of memory: the layer is left without values.
   */
  init(backend: Backend, options: InitOptions = {}): this {
    checkBackend(this.type, backend);
    checkOptions(this.type, options, initNames);
    const generator = options.generator ?? new RandomGenerator(options.seed ?? 0);
    checkGenerator(this.type, generator);
    try {
      for (const [, parameter] of distinct(this.stateDict())) parameter.init(backend, generator);
    } catch (error) {
      for (const parameter of this.stateDict().values()) parameter.dispose();
      throw error;
    }
    return this;
  }

  /** Frees the memory of the parameters. */
  dispose(): void {
    for (const parameter of this.stateDict().values()) parameter.dispose();
    this.forget();
  }

  /** Calls {@linkcode Layer.dispose}. `using` calls it at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The layer as PyTorch prints it: its options, the layers inside, and the numbers of parameters. */
  toString(): string {
    return textOf(this);
  }

  /** Calls {@linkcode Layer.toString}. `console.log()` calls it in Deno, Node and Bun. */
  [inspect](): string {
    return this.toString();
  }

  /** Saves tensors for the backward pass, in training mode. */
  protected save(...tensors: Tensor[]): void {
    if (this.training) this.#saved.keep(tensors);
  }

  /** Returns the tensors that the forward pass saved. Works once per forward pass. */
  protected recall(): readonly Tensor[] {
    return this.#saved.take(this.type);
  }

  /** Saves the shape of the input, for layers whose backward pass needs nothing else. */
  protected saveShape(x: Tensor): void {
    if (this.training) this.#saved.keepShape(x.shape);
  }

  /** Returns the shape that the forward pass saved. Works once per forward pass. */
  protected recallShape(): Shape {
    return this.#saved.takeShape(this.type);
  }

  #noValues(): PembrokeError {
    return new PembrokeError(`${this.type}: no values yet; call init() or load weights first`);
  }

  /**
   * Runs a backward pass of a layer that may fuse a ReLU. The forward pass must have saved its
   * input, and with a ReLU its output, too. Where the ReLU clamped, dy is set to 0.
   */
  protected backwardThroughRelu<T>(dy: Tensor, backward: (dy: Tensor, x: Tensor) => T): T {
    checkTensor(this.type, "dy", dy, dy);
    const [x, y] = this.recall();
    checkTensor(this.type, "dy", dy, dy, this.outputShape(x.shape));
    if (!y) return backward(dy, x);
    using masked = reluBackward(dy, y);
    return backward(masked, x);
  }

  /** The gradient to add to. Undefined if the layer lacks the parameter, or the parameter is frozen. */
  protected gradientOf(name: string): Tensor | undefined {
    const parameter = this.parameters[name];
    return parameter?.requiresGrad ? parameter.gradient() : undefined;
  }

  /** The values of a parameter. Throws a {@linkcode PembrokeError} without values. */
  protected value(name: string): Tensor {
    const tensor = this.parameters[name]?.tensor;
    if (tensor) return tensor;
    throw this.#noValues();
  }

  /** The values of a parameter, or null if the layer has no such parameter. */
  protected optional(name: string): Tensor | null {
    return this.parameters[name] ? this.value(name) : null;
  }
}
