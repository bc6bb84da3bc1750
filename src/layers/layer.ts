/**
 * What every layer is: a function of a tensor, with parameters under PyTorch's names.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import { reluBackward } from "../ops/activation.ts";
import { RandomGenerator } from "../random.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";

/** What a forward pass takes besides its input. */
export interface ForwardOptions {
  /** The tensor to write to; without it a new one is returned. */
  readonly out?: Tensor;
  /** Fuses a ReLU; for layers whose `fusesRelu` is true. */
  readonly activation?: "relu";
}

/** Where the initial values of parameters come from. */
export interface InitOptions {
  /** The seed, as of `torch.manual_seed`. Default 0. */
  readonly seed?: number;
  /** A generator to go on drawing from, instead of a seed. */
  readonly generator?: RandomGenerator;
}

/** Floats initialised at a time, so that a large parameter is never held twice. */
const CHUNK = 1 << 18;

/** A named tensor of a layer: learned, or (a running statistic) only kept. */
export class Parameter {
  /** The values, once the layer was initialised or loaded. */
  tensor: Tensor | undefined;
  /** The gradient that backward passes have added up, if there was any. */
  grad: Tensor | undefined;

  /**
   * Describes a parameter; it has no memory yet.
   *
   * @param shape The shape it has.
   * @param fill Writes initial values to a piece of it.
   * @param requiresGrad Whether training moves it; false for running statistics.
   */
  constructor(
    readonly shape: Shape,
    readonly fill: (values: Float32Array, generator: RandomGenerator) => void,
    readonly requiresGrad = true,
  ) {}

  /** The backend that holds its values, if it has any. */
  get backend(): Backend | undefined {
    return this.tensor?.backend;
  }

  /** Takes memory for it on a backend, whose values are not defined yet. */
  allocate(backend: Backend): void {
    this.dispose();
    this.tensor = backend.empty(this.shape);
  }

  /** Overwrites the values from `offset` on. */
  write(values: Float32Array, offset = 0): void {
    if (!this.tensor) throw new PembrokeError("a parameter without memory cannot be written to");
    this.tensor.backend.write(this.tensor, values, offset);
  }

  /** The gradient to add to; starts at 0. */
  gradient(): Tensor {
    if (!this.tensor) throw new PembrokeError("a parameter without values has no gradient");
    if (!this.grad) {
      this.grad = this.tensor.backend.empty(this.shape);
      this.zeroGrad();
    }
    return this.grad;
  }

  /** Sets the gradient to 0. */
  zeroGrad(): void {
    this.grad?.backend.fill(this.grad, 0);
  }

  /** Gives the memory of values and gradient back. */
  dispose(): void {
    this.tensor?.dispose();
    this.grad?.dispose();
    this.tensor = this.grad = undefined;
  }

  /** Takes memory and fills it with initial values. */
  init(backend: Backend, generator: RandomGenerator): void {
    this.allocate(backend);
    const size = elements(this.shape), values = new Float32Array(Math.min(CHUNK, size));
    for (let at = 0; at < size; at += CHUNK) {
      const piece = values.subarray(0, Math.min(CHUNK, size - at));
      this.fill(piece, generator);
      this.write(piece, at);
    }
  }
}

/** PyTorch's default for weights and biases: uniform within ±1/√fanIn (its `kaiming_uniform_(a=√5)`). */
export function uniform(fanIn: number): Parameter["fill"] {
  const bound = 1 / Math.sqrt(fanIn);
  return (values, generator) => generator.uniform(values, -bound, bound);
}

/** A parameter that starts uniform. */
export function uniformParameter(shape: Shape, fanIn: number): Parameter {
  return new Parameter(shape, uniform(fanIn));
}

/** A parameter that starts with one value everywhere. */
export function constantParameter(shape: Shape, value: number, requiresGrad = true): Parameter {
  return new Parameter(shape, (values) => values.fill(value), requiresGrad);
}

/**
 * A layer. It is a description until {@linkcode Layer.init} or loading weights gives it memory on
 * a backend; shapes, parameters and costs can be asked for before.
 */
export abstract class Layer implements Disposable {
  /** Its name, as in `torch.nn`. */
  abstract readonly type: string;
  /** Its own parameters by name, in PyTorch's order. */
  readonly parameters: Readonly<Record<string, Parameter>> = {};
  /** Whether its forward pass takes `activation`. */
  readonly fusesRelu: boolean = false;
  /** Whether it may write over its input. */
  readonly inPlace: boolean = false;
  /** Where random layers draw from in training; undefined in evaluation, the mode to begin with. */
  protected generator: RandomGenerator | undefined;
  #saved: readonly { readonly tensor: Tensor; readonly version: number }[] | undefined;
  #savedShape: Shape | undefined;

  /** Whether it only looks at its input under another shape: nothing is computed. */
  get aliases(): boolean {
    return false;
  }

  /** Whether forward passes keep what a backward pass needs. */
  get training(): boolean {
    return this.generator !== undefined;
  }

  /** The shape it makes of an input's; throws an {@linkcode ArgumentError} if it takes none such. */
  abstract outputShape(input: Shape): Shape;

  /** Its function. The result is the caller's to dispose. */
  abstract forward(x: Tensor, options?: ForwardOptions): Tensor;

  /**
   * The gradient of its input from that of its output; gradients of parameters are added to theirs.
   * Follows one forward pass in training mode, whose input and output must still be there.
   *
   * @param dy The gradient of the output, of the output's shape; it is not changed.
   * @returns The gradient of the input: the caller's to dispose, or a view of dy where the layer
   * itself is a view.
   */
  abstract backward(dy: Tensor): Tensor;

  /** Like {@linkcode Layer.backward} without the gradient of the input. */
  backwardParameters(dy: Tensor): void {
    this.backward(dy).dispose();
  }

  /**
   * Enters training mode: forward passes keep what the backward pass needs, dropout drops, batch
   * normalisation uses the batch's own statistics. Unlike PyTorch's, layers begin in evaluation.
   *
   * @param generator Where dropout draws from.
   */
  train(generator: RandomGenerator = new RandomGenerator(0)): this {
    this.generator = generator;
    return this;
  }

  /** Enters evaluation mode and forgets what the last forward pass kept. */
  eval(): this {
    this.generator = undefined;
    this.#saved = this.#savedShape = undefined;
    return this;
  }

  /** Sets the gradients of all parameters to 0. */
  zeroGrad(): void {
    for (const parameter of this.stateDict().values()) parameter.zeroGrad();
  }

  /** Multiply-accumulates for an input of this shape; 0 for layers without weights. */
  macs(_input: Shape): number {
    return 0;
  }

  /** All its parameters by their names in PyTorch's `state_dict`. */
  stateDict(): Map<string, Parameter> {
    return new Map(Object.entries(this.parameters));
  }

  /** The backend that holds its parameters; throws if they were given no values yet. */
  get backend(): Backend {
    const [first] = this.stateDict().values();
    if (first?.backend) return first.backend;
    throw new PembrokeError(`${this.type}: no values yet; init() it or load weights first`);
  }

  /**
   * Rounds the weights of its fully connected layers to 8 bits, as {@linkcode quantizeLinear} does:
   * those it has now, whose float32 values are given back, and those that are loaded later. It cannot
   * be trained any more. In the state dict they keep their names; their values are `quantized`.
   *
   * @throws {PembrokeError} In training mode, or when they are held in float16.
   */
  quantize(): this {
    if (this.training) {
      throw new PembrokeError(`${this.type}: quantize() is for evaluation; call eval() first`);
    }
    return this;
  }

  /** Takes memory on a backend and fills it with the initial values PyTorch would draw. */
  init(backend: Backend, options: InitOptions = {}): this {
    const generator = options.generator ?? new RandomGenerator(options.seed ?? 0);
    for (const parameter of this.stateDict().values()) parameter.init(backend, generator);
    return this;
  }

  /** Gives the memory of its parameters back. */
  dispose(): void {
    for (const parameter of this.stateDict().values()) parameter.dispose();
    this.#saved = this.#savedShape = undefined;
  }

  /** What `using` calls at the end of the block: {@linkcode Layer.dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Keeps tensors for the backward pass, in training mode. */
  protected save(...tensors: Tensor[]): void {
    if (!this.training) return;
    this.#saved = tensors.map((tensor) => ({ tensor, version: tensor.version }));
  }

  /** What the forward pass kept; only once. */
  protected recall(): readonly Tensor[] {
    const saved = this.#saved ?? this.#forgotten();
    this.#saved = undefined;
    return saved.map(({ tensor, version }) => {
      if (tensor.version === version) return tensor;
      throw new PembrokeError(
        `${this.type}: what backward() needs was written to after forward()`,
      );
    });
  }

  /** Keeps the shape of the input, where the backward pass needs no more. */
  protected saveShape(x: Tensor): void {
    if (this.training) this.#savedShape = x.shape;
  }

  /** The shape that the forward pass kept; only once. */
  protected recallShape(): Shape {
    const shape = this.#savedShape ?? this.#forgotten();
    this.#savedShape = undefined;
    return shape;
  }

  #forgotten(): never {
    throw new PembrokeError(
      `${this.type}: backward() follows one forward() in training mode; call train() first`,
    );
  }

  /**
   * For layers that fuse a ReLU, and saved their input and, with a ReLU, their output: masks dy where
   * the ReLU clamped, and passes it on with the saved input.
   */
  protected backwardThroughRelu<T>(dy: Tensor, backward: (dy: Tensor, x: Tensor) => T): T {
    const [x, y] = this.recall();
    if (!y) return backward(dy, x);
    using masked = reluBackward(dy, y);
    return backward(masked, x);
  }

  /** A parameter's tensor; throws if the layer has none yet. */
  protected value(name: string): Tensor {
    const tensor = this.parameters[name].tensor;
    if (tensor) return tensor;
    throw new PembrokeError(`${this.type}: no values yet; init() it or load weights first`);
  }

  /** Like {@linkcode Layer.value}, null for a parameter that the layer does without. */
  protected optional(name: string): Tensor | null {
    return name in this.parameters ? this.value(name) : null;
  }
}

/** The number of elements of all parameters. */
export function parameterCount(layer: Layer): number {
  return [...layer.stateDict().values()].reduce((sum, { shape }) => sum + elements(shape), 0);
}

/** The shapes of all parameters, by name. */
export function parameterShapes(layer: Layer): Map<string, Shape> {
  return new Map([...layer.stateDict()].map(([name, { shape }]) => [name, shape]));
}

/** The input under another shape, for layers that compute nothing: these cannot write to `out`. */
export function viewAs(type: string, x: Tensor, shape: Shape, { out }: ForwardOptions): Tensor {
  if (out === undefined) return x.view(shape);
  throw new ArgumentError(type, "out", "given", "left out: the result is a view of x");
}
