/**
 * Sequences of layers.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import { checkAnyShape, checkOptions, checkTensor, produce } from "../ops/checks.ts";
import { sameShape, type Shape, type Tensor } from "../tensor.ts";
import { RandomGenerator } from "../random.ts";
import { type ForwardOptions, Layer, viewAs } from "./layer.ts";
import type { Parameter } from "./parameter.ts";
import { createPlan, type FusedLayer, fuseRelus, type Plan } from "./plan.ts";

/**
 * A sequence of layers, `torch.nn.Sequential`.
 *
 * The forward pass is planned once per input shape. Activations alternate between two blocks of
 * memory. A ReLU after a convolution or linear layer is computed by that layer's kernel. In
 * evaluation mode, a pass allocates only its result, or nothing with `out`.
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
  /** The layers by name. The layers of a list are named "0", "1", … */
  readonly children: ReadonlyMap<string, Layer>;
  #plan: Plan | undefined;
  /** In training mode, the outputs of all layers but the last: the backward pass needs them. */
  #activations: Tensor[] = [];

  /**
   * Creates a sequence.
   *
   * @param layers The layers in order, as a list, an object or a map. Use a map if the names are
   * numbers, because objects sort them.
   */
  constructor(
    layers: readonly Layer[] | Readonly<Record<string, Layer>> | ReadonlyMap<string, Layer>,
  ) {
    super();
    const kind = kindOf(layers);
    if (!["Array", "Map", "Object"].includes(kind)) {
      throw new ArgumentError("Sequential", "layers", layers, "a list, an object or a map");
    }
    const children = new Map<string, Layer>(
      kind === "Map" ? layers as ReadonlyMap<string, Layer> : Object.entries(layers),
    );
    for (const [name, layer] of children) {
      if (!(layer instanceof Layer)) {
        throw new ArgumentError("Sequential", `layer "${String(name)}"`, layer, "a Layer");
      }
    }
    this.children = children;
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
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

  /** The layers in order, with nested sequences expanded. Names are like "features.0". */
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
    checkTensor(this.type, "x", x, x);
    checkOptions(this.type, options);
    if (this.training) return this.#trainingForward(x, options);
    const { steps } = this.#planFor(x);
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
    return this.#finish(() => backpropagate(this.#layers(), dy));
  }

  /** See {@linkcode Layer.backwardParameters}. */
  override backwardParameters(dy: Tensor): void {
    this.#finish(() => {
      const layers = this.#layers();
      const first = layers.findIndex((layer) => layer.stateDict().size > 0);
      if (first < 0) return;
      const dx = backpropagate(layers.slice(first + 1), dy);
      try {
        layers[first].backwardParameters(dx);
      } finally {
        if (dx !== dy) dx.dispose();
      }
    });
  }

  /** Runs a backward pass, and frees what the forward pass saved for it. */
  #finish<T>(backward: () => T): T {
    try {
      return backward();
    } catch (error) {
      for (const [, layer] of this.leaves()) layer.forget();
      throw error;
    } finally {
      this.#disposeActivations();
    }
  }

  /** See {@linkcode Layer.train}. */
  override train(generator: RandomGenerator = new RandomGenerator(0)): this {
    this.#disposePlan();
    try {
      for (const layer of this.children.values()) layer.train(generator);
    } catch (error) {
      this.eval(); // all layers must be in the same mode
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
    this.#disposeActivations();
    return super.eval();
  }

  /** See {@linkcode Layer.forget}. */
  override forget(): void {
    for (const layer of this.children.values()) layer.forget();
    this.#disposeActivations();
    super.forget();
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    for (const layer of this.children.values()) layer.dispose();
    this.#disposePlan();
    this.#disposeActivations();
  }

  /** The layers in order, without fused ReLUs. */
  #layers(): Layer[] {
    return this.#fusedLayers().map(({ layer }) => layer);
  }

  #fusedLayers(): FusedLayer[] {
    return fuseRelus(this.leaves().map(([, layer]) => layer));
  }

  /** Saves the output of every layer but the last, which is returned. */
  #trainingForward(x: Tensor, { out }: ForwardOptions): Tensor {
    this.#disposeActivations();
    const layers = this.#fusedLayers();
    const last = layers.findLastIndex(({ layer }) => !layer.aliases);
    let y = x, result: Tensor | undefined;
    try {
      for (const [i, { layer, activation }] of layers.entries()) {
        y = layer.forward(y, { activation, out: i === last ? out : undefined });
        if (i === last) result = y;
        else if (!layer.aliases) this.#activations.push(y);
      }
      return result?.adopt(y.shape) ?? y;
    } catch (error) {
      if (!out) result?.dispose();
      this.forget();
      throw error;
    }
  }

  /** Returns the plan for an input, from the last pass if that had the same shape. */
  #planFor(x: Tensor): Plan {
    const old = this.#plan;
    if (old?.backend === x.backend && sameShape(old.input, x.shape)) return old;
    this.#disposePlan();
    return this.#plan = createPlan(this.#fusedLayers(), x);
  }

  #disposePlan(): void {
    for (const tensor of this.#plan?.arena ?? []) tensor.dispose();
    this.#plan = undefined;
  }

  #disposeActivations(): void {
    for (const tensor of this.#activations) tensor.dispose();
    this.#activations = [];
  }
}

/** Computes the gradient of the first layer's input, and disposes of the gradients in between. */
function backpropagate(layers: readonly Layer[], dy: Tensor): Tensor {
  let gradient = dy, owned: Tensor | undefined;
  try {
    for (const layer of layers.toReversed()) {
      gradient = layer.backward(gradient);
      if (layer.aliases) continue; // a view of `owned`
      owned?.dispose();
      owned = gradient;
    }
    return owned?.adopt(gradient.shape) ?? gradient;
  } catch (error) {
    owned?.dispose();
    throw error;
  }
}
