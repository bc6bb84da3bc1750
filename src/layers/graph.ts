/**
 * Networks whose layers form a directed acyclic graph.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import { checkAnyShape, checkOptions, checkTensor, produce } from "../ops/checks.ts";
import type { RandomGenerator } from "../random.ts";
import { disposable, type Shape, type Tensor } from "../tensor.ts";
import { backpropagate } from "./backpropagate.ts";
import { throwNotSaved } from "./forward.ts";
import { graphInput, type GraphNode } from "./graph_builder.ts";
import { checkNodes, Expansion, indicesOf, type LeafGraph, shapesOf } from "./graph_nodes.ts";
import { checkForward, type ForwardOptions, Layer, viewAs } from "./layer.ts";
import type { Parameter } from "./parameter.ts";
import { outputsOf, PlanCache, run } from "./plan_cache.ts";
import {
  checkPasses,
  freezeLeaves,
  type FreezeOptions,
  frozenNodes,
  FrozenPart,
  resumeTraining,
  runTraining,
  type TrainingPass,
} from "./training_pass.ts";

/**
 * Options of {@linkcode Graph}.
 */
export interface GraphOptions {
  /** The name of the node that computes the output. Default: the last one. */
  readonly output?: string;
}

/**
 * A directed acyclic graph of layers: each node has a layer, and names those whose outputs it takes.
 *
 * In evaluation mode, a forward pass is planned once per input shape: values that are not needed at
 * the same time share memory. Kernels of convolutions also compute the batch normalisation, the
 * addition and the activation that follow. A pass allocates only its result, or nothing with `out`.
 *
 * @example A residual block
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Add, Conv2d, Graph, ReLU } from "./mod.ts";
 *
 * using backend = await createBackend();
 * using block = new Graph([
 *   { name: "conv1", layer: new Conv2d(4, 4, 3, { padding: 1 }) },
 *   { name: "relu1", layer: new ReLU() },
 *   { name: "conv2", layer: new Conv2d(4, 4, 3, { padding: 1 }) },
 *   { name: "add", layer: new Add(), inputs: ["conv2", "input"] },
 *   { name: "relu2", layer: new ReLU() },
 * ]).init(backend, { seed: 1 });
 * using x = backend.upload(new Float32Array(4 * 64), [1, 4, 8, 8]);
 * using y = block.forward(x);
 * console.log(y.shape); // [1, 4, 8, 8]
 * ```
 */
export class Graph extends Layer {
  /** The type of network. */
  override readonly type: string = "Graph";
  #nodes: readonly Required<GraphNode>[] = [];
  #expansion = new Expansion([], graphInput);
  readonly #plans = new PlanCache();
  #frozen: FrozenPart | undefined;
  #pass: TrainingPass | undefined;
  /** Whether layers were added since the last call of `train()`. */
  #hasNewLayers = true;

  /**
   * Creates a network without values: call {@linkcode Layer.init} or load weights.
   *
   * @param nodes The nodes in order: each takes the outputs of nodes before it, or "input".
   * @param options `output` names the node that computes the output. Default: the last one.
   * @throws {ArgumentError} When names are missing or not unique.
   */
  constructor(nodes: readonly GraphNode[], options: GraphOptions = {}) {
    super();
    checkOptions("Graph", options, ["output"]);
    this.setNodes(nodes, options);
  }

  /** The nodes in order. */
  get nodes(): readonly Required<GraphNode>[] {
    return this.#nodes;
  }

  /** The layers by name, in order. */
  get children(): ReadonlyMap<string, Layer> {
    return new Map(this.#nodes.map(({ name, layer }) => [name, layer]));
  }

  /**
   * Replaces the nodes. The caller disposes of layers that are left out.
   *
   * @throws {ArgumentError} When names are missing or not unique.
   */
  protected setNodes(nodes: readonly GraphNode[], { output }: GraphOptions = {}): void {
    if (!Array.isArray(nodes)) throw new ArgumentError("Graph", "nodes", nodes, "a list");
    const checked = checkNodes("Graph", nodes);
    const last = output ?? checked.at(-1)?.name ?? graphInput;
    if (last !== graphInput && !checked.some(({ name }) => name === last)) {
      throw new ArgumentError("Graph", "output", last, "the name of a node");
    }
    this.#disposePlans();
    this.#hasNewLayers = true;
    this.#nodes = checked;
    this.#expansion = new Expansion(checked, last);
  }

  /** @internal Whether graphs around it run its nodes. Not in a class that overrides the forward pass. */
  get isExpanded(): boolean {
    return this.forward === Graph.prototype.forward;
  }

  /** The nodes with nested graphs expanded, and the index of the output. */
  expand(): LeafGraph {
    if (!this.#expansion.isCurrent) this.setNodes(this.#nodes, this.#expansion);
    return this.#expansion.leaves;
  }

  /** The layers in order, with nested graphs expanded. Names are like "features.0". */
  leaves(): [string, Layer][] {
    return this.expand().nodes.map(({ name, layer }) => [name, layer]);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
    return this.shapes(input)[this.expand().output] ?? input;
  }

  /** The shapes of the outputs of {@linkcode Graph.leaves}. */
  shapes(input: Shape): Shape[] {
    return shapesOf(this.expand().nodes, input);
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    const shapes = this.shapes(input);
    return this.expand().nodes.reduce(
      (sum, { layer, inputs }) => sum + layer.macsOf(inputs.map((i) => shapes[i] ?? input)),
      0,
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
    checkForward(this.type, x, options);
    if (this.training) return this.#forwardInTraining(x, options);
    const { nodes, output } = this.expand();
    const plan = this.#plans.get(nodes, x, new Set([output]));
    const shape = plan.steps.find((step) => step.output === output)?.shape ?? x.shape;
    const root = plan.roots.get(output)!;
    if (root < 0) return viewAs(this.type, x, shape, options);
    return produce(this.type, x, { shape, out: options.out }, (result) => {
      run(plan, x, new Map([[root, result]]));
    });
  }

  #forwardInTraining(x: Tensor, options: ForwardOptions): Tensor {
    this.#disposePass();
    const part = this.#setModes(), shapes = this.shapes(x.shape);
    try {
      const all = { ...options, part };
      const { pass, result } = runTraining(this.type, this.expand(), shapes, x, all);
      this.#pass = pass;
      return result;
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  /**
   * Computes the outputs of several nodes in one pass, in evaluation mode. Declare the list with
   * `using`, because an output that is a view of another one shares its memory.
   *
   * @param names The names of nodes, as in {@linkcode Graph.leaves}.
   * @throws {ArgumentError} When there is no such node, or the shape of the input does not fit.
   * @throws {PembrokeError} When the network has no values, or is in training mode.
   */
  outputsOf(x: Tensor, names: readonly string[]): Tensor[] & Disposable {
    checkTensor(this.type, "x", x, x);
    if (this.training) {
      throw new PembrokeError(`${this.type}: outputsOf() needs evaluation mode; call eval()`);
    }
    const { nodes } = this.expand();
    return disposable(outputsOf(this.#plans, nodes, x, indicesOf(this.type, nodes, names)));
  }

  /** See {@linkcode Layer.backward}. No layer may have run again since the forward pass. */
  override backward(dy: Tensor): Tensor {
    return this.#backward(dy, true)!;
  }

  /** See {@linkcode Layer.backwardParameters}. */
  override backwardParameters(dy: Tensor): void {
    this.#backward(dy, false);
  }

  #backward(dy: Tensor, needsInput: boolean): Tensor | undefined {
    checkTensor(this.type, "dy", dy, dy);
    const { nodes } = this.expand(), pass = this.#pass ?? throwNotSaved(this.type);
    try {
      if (needsInput && pass.isFrozen) {
        throw new PembrokeError(
          `${this.type}: the layers before the first trained one are frozen, so backward() cannot ` +
            "compute the gradient of the input; call backwardParameters()",
        );
      }
      checkPasses(this.type, nodes, pass);
      return backpropagate(pass.steps, pass.output, dy, pass.x, needsInput);
    } catch (error) {
      for (const [, layer] of this.leaves()) layer.forget();
      throw error;
    } finally {
      this.#disposePass();
    }
  }

  /** See {@linkcode Layer.train}. To keep the values of a layer inside, {@linkcode Layer.freeze} it. */
  override train(generator: RandomGenerator = this.nextGenerator): this {
    this.#begin(generator);
    try {
      this.#setModes(true);
    } catch (error) {
      this.eval(); // all layers must be in the same mode
      throw error;
    }
    return this;
  }

  /** Enters training mode together with nested graphs. Their layers stay in their modes. */
  #begin(generator: RandomGenerator): void {
    super.train(generator);
    this.#plans[Symbol.dispose]();
    for (const { layer } of this.#nodes) if (layer instanceof Graph) layer.#begin(generator);
  }

  /**
   * Puts all layers into training mode, except the frozen ones before the first trained one.
   *
   * @param reset Whether to do so in any mode. If not, a trained layer must be in training mode.
   */
  #setModes(reset = this.#hasNewLayers): FrozenPart | undefined {
    const frozen = frozenNodes(this.expand()), before = this.#frozen?.frozen ?? new Set();
    if ([...frozen].join() !== [...before].join()) {
      this.#frozen?.[Symbol.dispose]();
      this.#frozen = frozen.size > 0 ? new FrozenPart(this.expand(), frozen) : undefined;
    }
    for (const [i, node] of this.expand().nodes.entries()) {
      const { layer } = node;
      if (frozen.has(i)) { if (layer.training) layer.eval(); }
      else if (reset || before.has(i)) layer.train(this.generator);
      else if (!layer.training) resumeTraining(this.type, node, this.generator);
    }
    this.#hasNewLayers = false;
    return this.#frozen;
  }

  /**
   * Stops training all parameters: see {@linkcode Layer.freeze}.
   *
   * @throws {ArgumentError} When there is no node with a name in `except`.
   *
   * @example All but the last layers of a network
   * ```ts
   * import { createModel } from "../models/registry.ts";
   *
   * using model = createModel("resnet18");
   * model.freeze({ except: ["layer4", "fc"] });
   * console.log(model.stateDict().get("conv1.weight")?.requiresGrad); // false
   * ```
   */
  override freeze(options: FreezeOptions = {}): this {
    freezeLeaves(this.leaves(), options);
    return this;
  }

  /** See {@linkcode Layer.unfreeze}. */
  override unfreeze(): this {
    for (const [, layer] of this.leaves()) layer.unfreeze();
    return this;
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
    this.#disposePass();
    this.#frozen?.[Symbol.dispose](); // frees its memory; the next pass plans again
    return super.eval();
  }

  /** See {@linkcode Layer.forget}. */
  override forget(): void {
    for (const layer of this.children.values()) layer.forget();
    this.#disposePass();
    super.forget();
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    for (const layer of this.children.values()) layer.dispose();
    this.#disposePlans();
  }

  #disposePlans(): void {
    this.#disposePass();
    this.#plans[Symbol.dispose]();
    this.#frozen?.[Symbol.dispose]();
    this.#frozen = undefined;
  }

  #disposePass(): void {
    for (const tensor of this.#pass?.activations ?? []) tensor.dispose();
    this.#pass = undefined;
  }
}
