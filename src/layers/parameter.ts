/**
 * The parameters of layers: their initial values, their number, and layers as text.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { PembrokeError } from "../errors.ts";
import { checkBackend, checkBoolean, checkOptions, disposeOnError } from "../ops/checks.ts";
import type { RandomGenerator } from "../random.ts";
import { elements, inspect, type Shape, type Tensor, type TensorStorage } from "../tensor.ts";

/** The source of a layer's initial values. */
export interface InitOptions {
  /**
   * The seed, as for `torch.manual_seed`. Two layers of the same shape with the same seed get the same
   * numbers. Pass one generator to both if they must differ. Default: 0.
   */
  readonly seed?: number;
  /** A generator to draw from, instead of a new one with the seed. It goes on where it stopped. */
  readonly generator?: RandomGenerator;
}

/** The names of {@linkcode InitOptions}. */
export const initNames = ["seed", "generator"] as const;

/** Floats initialised at a time, to avoid a second copy of a large parameter. */
const chunkSize = 1 << 18;

/** The largest last chunk: normal numbers are drawn 16 at a time, and fewer than 16 in another way. */
const maxLastChunk = chunkSize + 15;

/**
 * Options of {@linkcode Parameter}.
 */
export interface BufferOptions {
  /** Whether it is a running statistic or a constant, which is never trained. Default: false. */
  readonly isBuffer?: boolean;
}

/**
 * The parameters of a layer with a weight and, unless it was turned off, a bias.
 */
export type WeightAndBias = { readonly weight: Parameter; readonly bias?: Parameter };

/** A parameter of a layer: learned weights, or a running statistic. */
export class Parameter {
  /** The values. Undefined until the layer is initialised or loaded. */
  tensor: Tensor | undefined;
  /** The sum of the gradients of all backward passes. Undefined before the first one. */
  grad: Tensor | undefined;
  /** Whether it is trained: backward passes compute its gradient, and optimisers update it. */
  requiresGrad: boolean;
  /** Whether it is a running statistic or a constant, which is never trained. */
  readonly isBuffer: boolean;

  /**
   * Creates a parameter without memory.
   *
   * @param shape The shape of its tensor.
   * @param fill Writes initial values to a chunk of it.
   * @param options `isBuffer` says whether it is a running statistic or a constant, which is never
   * trained (default false).
   */
  constructor(
    readonly shape: Shape,
    readonly fill: (values: Float32Array, generator: RandomGenerator) => void,
    options: BufferOptions = {},
  ) {
    checkOptions("Parameter", options, ["isBuffer"]);
    this.isBuffer = checkBoolean("Parameter", "isBuffer", options.isBuffer ?? false);
    this.requiresGrad = !this.isBuffer;
  }

  /** The backend that holds the values. Undefined without values. */
  get backend(): Backend | undefined {
    return this.tensor?.backend;
  }

  /** The memory of the values. Undefined without values. */
  get storage(): TensorStorage | undefined {
    return this.tensor?.storage;
  }

  /**
   * Allocates uninitialised memory on a backend, in place of the present values and gradient.
   *
   * @throws {ArgumentError} When `backend` is not a backend.
   */
  allocate(backend: Backend): void {
    checkBackend("allocate", backend);
    this.dispose();
    this.tensor = backend.empty(this.shape);
  }

  /**
   * Overwrites the values from `offset` on.
   *
   * @throws {PembrokeError} When the parameter has no memory.
   */
  write(values: Float32Array, offset = 0): void {
    if (!this.tensor) {
      throw new PembrokeError("write: the parameter has no memory; call allocate() first");
    }
    this.tensor.backend.write(this.tensor, values, offset);
  }

  /**
   * Copies the values to an array, in row-major order. Values in fewer than 32 bits are converted.
   *
   * @throws {PembrokeError} When the parameter has no values.
   */
  async read(): Promise<Float32Array> {
    if (this.tensor) return await this.tensor.read();
    throw new PembrokeError("read: the parameter has no values; call init() or load weights");
  }

  /**
   * Returns `grad`, and creates it with zeros if it is missing.
   *
   * @throws {PembrokeError} When the parameter has no values.
   */
  gradient(): Tensor {
    if (!this.tensor) {
      throw new PembrokeError("gradient: the parameter has no values; call init() or load weights");
    }
    if (!this.grad) {
      const { backend } = this.tensor;
      this.grad = disposeOnError(backend.empty(this.shape), (grad) => {
        backend.fill(grad, 0);
        return grad;
      });
    }
    return this.grad;
  }

  /** Sets the gradient to 0. */
  zeroGrad(): void {
    this.grad?.backend.fill(this.grad, 0);
  }

  /** Stops training it, and frees the memory of the gradient. */
  freeze(): void {
    this.requiresGrad = false;
    this.grad?.dispose();
    this.grad = undefined;
  }

  /** What `console.log()` prints: the shape, the backend if it has values, and whether it is trained. */
  [inspect](): string {
    const { backend, isBuffer, requiresGrad } = this;
    const place = backend ? ` on ${backend.name}` : "";
    const kind = isBuffer ? ", buffer" : requiresGrad ? "" : ", frozen";
    return `Parameter [${this.shape.join(", ")}]${place}${kind}`;
  }

  /** Frees the memory of the values and the gradient. */
  dispose(): void {
    this.tensor?.dispose();
    this.grad?.dispose();
    this.tensor = this.grad = undefined;
  }

  /**
   * Allocates memory and fills it with initial values.
   *
   * @param fill Writes them, instead of {@linkcode Parameter.fill}.
   */
  init(backend: Backend, generator: RandomGenerator, fill: Parameter["fill"] = this.fill): void {
    this.allocate(backend);
    const size = elements(this.shape), values = new Float32Array(Math.min(maxLastChunk, size));
    for (let at = 0; at < size;) {
      const left = size - at, chunk = values.subarray(0, left <= maxLastChunk ? left : chunkSize);
      fill(chunk, generator);
      this.write(chunk, at);
      at += chunk.length;
    }
  }
}

/** PyTorch's default initial values: uniform within ±1/√fanIn, its `kaiming_uniform_(a=√5)`. */
export function uniform(fanIn: number): Parameter["fill"] {
  const bound = 1 / Math.sqrt(fanIn);
  return (values, generator) => generator.uniform(values, -bound, bound);
}

/** A parameter with uniform initial values. */
export function uniformParameter(shape: Shape, fanIn: number): Parameter {
  return new Parameter(shape, uniform(fanIn));
}

/** A parameter with the same initial value everywhere. */
export function constantParameter(
  shape: Shape,
  value: number,
  options?: BufferOptions,
): Parameter {
  return new Parameter(shape, (values) => values.fill(value), options);
}

/** What has parameters. */
interface Parameterized {
  stateDict(): ReadonlyMap<string, Parameter>;
}

/**
 * Returns each parameter once, by its first name, like PyTorch's `named_parameters`: one that layers share
 * has several names.
 */
export function distinct(named: ReadonlyMap<string, Parameter>): Map<string, Parameter> {
  const names = new Map<Parameter, string>();
  for (const [name, parameter] of named) {
    if (!names.has(parameter)) names.set(parameter, name);
  }
  return new Map([...names].map(([parameter, name]) => [name, parameter]));
}

/** Returns the number of elements of all parameters. */
export function parameterCount(layer: Parameterized): number {
  const parameters = [...distinct(layer.stateDict()).values()];
  return parameters.reduce((sum, { shape }) => sum + elements(shape), 0);
}

/** Returns the number of elements of the parameters that are learned: not of running statistics. */
export function learnedCount(layer: Parameterized, counted = new Set<Parameter>()): number {
  let count = 0;
  for (const parameter of layer.stateDict().values()) {
    if (parameter.isBuffer || counted.has(parameter)) continue;
    counted.add(parameter);
    count += elements(parameter.shape);
  }
  return count;
}

/** Returns the shapes of all parameters, by name. */
export function parameterShapes(layer: Parameterized): Map<string, Shape> {
  return new Map([...layer.stateDict()].map(([name, { shape }]) => [name, shape]));
}

/** What a layer has that is printed. */
interface Printed {
  readonly type: string;
  readonly options?: object;
  readonly children?: ReadonlyMap<string, Printed>;
  stateDict(): ReadonlyMap<string, Parameter>;
}

/** The fields of layers that are not arguments of their constructors. */
const otherFields = /^(type|parameters|fuse.*|addsTwo|inPlace|isRandom|generator|ranks|options)$/;

/**
 * A layer as PyTorch prints it, with the number of learned parameters: the fields and options that are
 * simple values, or the layers inside, a line each.
 */
export function textOf(layer: Printed): string {
  const count = learnedCount(layer), { children, options } = layer;
  const lines = Array.from(children ?? [], ([name, child]) => `\n(${name}): ${textOf(child)}`);
  const fields = Object.entries(children ? {} : { ...layer, ...options }).flatMap(
    ([name, value]) => {
      const text = otherFields.test(name) ? undefined : valueText(value);
      return text === undefined ? [] : `${name}=${text}`;
    },
  );
  const inside = lines.length > 0
    ? `${lines.join("").replaceAll("\n", "\n  ")}\n`
    : fields.join(", ");
  return `${layer.type}(${inside})${count > 0 ? `, ${count.toLocaleString("en")} parameters` : ""}`;
}

/** A number, a string, a truth value, or a short list of these; undefined for other values. */
function valueText(value: unknown): string | undefined {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (!Array.isArray(value) || value.length > 8) return undefined;
  const texts = value.map(valueText);
  return texts.includes(undefined) ? undefined : `[${texts.join(", ")}]`;
}
