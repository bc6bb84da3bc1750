/**
 * Layers one after another.
 *
 * @module
 */

import { produce } from "../ops/checks.ts";
import { elements, sameShape, type Shape, type Tensor } from "../tensor.ts";
import { RandomGenerator } from "../random.ts";
import { type ForwardOptions, Layer, type Parameter, viewAs } from "./layer.ts";

/** One layer of a network's forward pass, with the tensor it writes to. */
interface Step {
  readonly layer: Layer;
  readonly activation?: "relu";
  readonly shape: Shape;
  /** Undefined for the last step, which writes to the result, and for views. */
  readonly out?: Tensor;
}

/** The steps for one input shape, and the memory that their outputs share. */
interface Plan {
  readonly input: Tensor["shape"];
  readonly backend: Tensor["backend"];
  readonly steps: readonly Step[];
  readonly arena: readonly Tensor[];
}

/**
 * A network of layers one after another, `torch.nn.Sequential`.
 *
 * The forward pass is planned once for each input shape: activations alternate between two blocks
 * of memory, a ReLU behind a convolution or linear layer is computed with it, and only the result
 * is a new tensor (none with `out`).
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from "./mod.ts";
 *
 * using backend = await createBackend();
 * using net = new Sequential([
 *   new Conv2d(1, 4, 3, { padding: 1 }),
 *   new ReLU(),
 *   new MaxPool2d(2),
 *   new Flatten(),
 *   new Linear(4 * 4 * 4, 10),
 * ]).init(backend, { seed: 1 });
 * using x = backend.upload(new Float32Array(64), [1, 1, 8, 8]);
 * using y = net.forward(x);
 * console.log(y.shape); // [1, 10]
 * ```
 */
export class Sequential extends Layer {
  /** The name in `torch.nn`. */
  override readonly type: string = "Sequential";
  /** The layers by name; those of a list are called "0", "1", … */
  readonly children: ReadonlyMap<string, Layer>;
  #plan: Plan | undefined;
  /** In training, what layers gave each other: kept until the backward pass. */
  #activations: Tensor[] = [];

  /**
   * Puts layers one after another.
   *
   * @param layers The layers in order, in a list or by name (in a map, if names are numbers: objects
   * sort those).
   */
  constructor(
    layers: readonly Layer[] | Readonly<Record<string, Layer>> | ReadonlyMap<string, Layer>,
  ) {
    super();
    this.children = new Map(layers instanceof Map ? layers : Object.entries(layers));
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return this.leaves().reduce((shape, [, layer]) => layer.outputShape(shape), input);
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    let shape = input, sum = 0;
    for (const [, layer] of this.leaves()) {
      sum += layer.macs(shape);
      shape = layer.outputShape(shape);
    }
    return sum;
  }

  /** The layers that are not sequences themselves, with names such as "features.0". */
  leaves(): [string, Layer][] {
    return [...this.children].flatMap(([name, layer]): [string, Layer][] =>
      layer instanceof Sequential
        ? layer.leaves().map(([inner, leaf]) => [`${name}.${inner}`, leaf])
        : [[name, layer]]
    );
  }

  /** See {@linkcode Layer.stateDict}. */
  override stateDict(): Map<string, Parameter> {
    const named = this.leaves().flatMap(([name, layer]) =>
      [...layer.stateDict()].map(([key, p]): [string, Parameter] => [`${name}.${key}`, p])
    );
    return new Map(named);
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    if (this.training) return this.#trainingForward(x, options);
    const { steps } = this.#plannedFor(x);
    const shape = steps.at(-1)?.shape ?? x.shape;
    if (steps.every(({ layer }) => layer.aliases)) return viewAs(this.type, x, shape, options);
    return produce(this.type, x, { shape, out: options.out }, (result) => {
      let y = x;
      for (const { layer, activation, shape, out } of steps) {
        const target = layer.aliases ? undefined : out ?? result.view(shape);
        y = layer.forward(y, { activation, out: target });
      }
    });
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const layers = this.#layers();
    const dx = backwardThrough(layers, dy);
    this.#dropActivations();
    return dx;
  }

  /** See {@linkcode Layer.backwardParameters}. */
  override backwardParameters(dy: Tensor): void {
    const layers = this.#layers();
    const first = layers.findIndex((layer) => layer.stateDict().size > 0);
    if (first >= 0) {
      const dx = backwardThrough(layers.slice(first + 1), dy);
      layers[first].backwardParameters(dx);
      if (dx !== dy) dx.dispose();
    }
    this.#dropActivations();
  }

  /** See {@linkcode Layer.train}. */
  override train(generator: RandomGenerator = new RandomGenerator(0)): this {
    this.#dropPlan();
    try {
      for (const layer of this.children.values()) layer.train(generator);
    } catch (error) {
      this.eval(); // all or none of them
      throw error;
    }
    return super.train(generator);
  }

  /** See {@linkcode Layer.quantize}. */
  override quantize(): this {
    super.quantize();
    for (const layer of this.children.values()) layer.quantize();
    return this;
  }

  /** See {@linkcode Layer.eval}. */
  override eval(): this {
    for (const layer of this.children.values()) layer.eval();
    this.#dropActivations();
    return super.eval();
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    for (const layer of this.children.values()) layer.dispose();
    this.#dropPlan();
    this.#dropActivations();
  }

  /** The layers in order, without the ReLUs that are computed with the layer before them. */
  #layers(): Layer[] {
    return fuse(this.leaves().map(([, layer]) => layer)).map(({ layer }) => layer);
  }

  /** Every layer's output is kept; only the last is the caller's. */
  #trainingForward(x: Tensor, { out }: ForwardOptions): Tensor {
    this.#dropActivations();
    const layers = fuse(this.leaves().map(([, layer]) => layer));
    const last = layers.findLastIndex(({ layer }) => !layer.aliases);
    let y = x, result: Tensor | undefined;
    for (const [i, { layer, activation }] of layers.entries()) {
      y = layer.forward(y, { activation, out: i === last ? out : undefined });
      if (i === last) result = y;
      else if (!layer.aliases) this.#activations.push(y);
    }
    return result?.adopt(y.shape) ?? y;
  }

  #plannedFor(x: Tensor): Plan {
    const old = this.#plan;
    if (old?.backend === x.backend && sameShape(old.input, x.shape)) return old;
    this.#dropPlan();
    return this.#plan = plan(this.leaves().map(([, layer]) => layer), x);
  }

  #dropPlan(): void {
    for (const tensor of this.#plan?.arena ?? []) tensor.dispose();
    this.#plan = undefined;
  }

  #dropActivations(): void {
    for (const tensor of this.#activations) tensor.dispose();
    this.#activations = [];
  }
}

/** Layers in order, each with the ReLU behind it that it computes. */
function fuse(layers: readonly Layer[]): { layer: Layer; activation?: "relu" }[] {
  return layers.flatMap((layer, i) => {
    if (layer.type === "ReLU" && layers[i - 1]?.fusesRelu) return [];
    const activation = layer.fusesRelu && layers[i + 1]?.type === "ReLU" ? "relu" : undefined;
    return [{ layer, activation } as const];
  });
}

/** The gradient of the first layer's input; every gradient on the way is given back. */
function backwardThrough(layers: readonly Layer[], dy: Tensor): Tensor {
  let gradient = dy, owned: Tensor | undefined;
  for (const layer of layers.toReversed()) {
    gradient = layer.backward(gradient);
    if (layer.aliases) continue; // a view: what it looks at is still needed
    owned?.dispose();
    owned = gradient;
  }
  return owned?.adopt(gradient.shape) ?? gradient;
}

function plan(layers: readonly Layer[], x: Tensor): Plan {
  const fused = fuse(layers);
  const last = fused.findLastIndex(({ layer }) => !layer.aliases);

  // First the sizes: which of the two blocks each step writes to. Block −1 is the caller's input.
  const sizes = [0, 0];
  let block = -1, shape = x.shape;
  const placed = fused.map((step, i) => {
    shape = step.layer.outputShape(shape);
    if (!step.layer.aliases && i !== last) {
      if (!(step.layer.inPlace && block >= 0)) block = block === 0 ? 1 : 0;
      sizes[block] = Math.max(sizes[block], elements(shape));
    }
    return { ...step, shape, block, placed: !step.layer.aliases && i < last };
  });
  const arena = sizes.map((size) => size > 0 ? x.backend.empty([size]) : undefined);
  const steps = placed.map(({ layer, activation, shape, block, placed }) => ({
    layer,
    activation,
    shape,
    out: placed ? arena[block]!.view(shape) : undefined,
  }));
  return {
    input: x.shape,
    backend: x.backend,
    steps,
    arena: arena.filter((tensor) => tensor !== undefined),
  };
}
