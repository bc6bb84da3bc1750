/**
 * Networks whose layers form a directed acyclic graph.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import { checkAnyShape, checkOptions, checkTensor, produce } from "../ops/checks.ts";
import { RandomGenerator } from "../random.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { backpropagate } from "./backpropagate.ts";
import { fuse, type Step } from "./fuse.ts";
import { graphInput, type GraphNode } from "./graph_builder.ts";
import { checkNodes, expandNodes, type LeafGraph, shapesOf } from "./graph_nodes.ts";
import { type ForwardOptions, Layer, viewAs } from "./layer.ts";
import type { Parameter } from "./parameter.ts";
import { type BoundPlan, PlanCache } from "./plan_cache.ts";

/**
 * Options of {@linkcode Graph}.
 *
 * @internal
 */
export interface GraphOptions {
  /** The name of the node that computes the output. Default: the last one. */
  readonly output?: string;
}

/** The values of a forward pass in training mode. */
interface TrainingPass {
  readonly x: Tensor;
  readonly steps: readonly Step[];
  readonly output: number;
  /** The tensors that the backward pass needs, without the input and the output. */
  readonly activations: readonly Tensor[];
}

/**
 * A network whose layers form a directed acyclic graph. Each node is a layer and the names of the
 * nodes whose outputs it takes.
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
  #leaves: LeafGraph = { nodes: [], output: -1 };
  readonly #plans = new PlanCache();
  #pass: TrainingPass | undefined;

  /**
   * Creates a network without values: call {@linkcode Layer.init} or load weights.
   *
   * @param nodes The nodes in order: each takes the outputs of nodes before it, or "input".
   * @throws {ArgumentError} When names are missing or not unique.
   */
  constructor(nodes: readonly GraphNode[], options: GraphOptions = {}) {
    super();
    checkOptions("Graph", options);
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
    this.#plans[Symbol.dispose]();
    this.#disposePass();
    this.#nodes = checked;
    this.#leaves = expandNodes(checked, last);
  }

  /** The nodes with nested graphs expanded, and the index of the output. */
  expand(): LeafGraph {
    return this.#leaves;
  }

  /** The layers in order, with nested graphs expanded. Names are like "features.0". */
  leaves(): [string, Layer][] {
    return this.#leaves.nodes.map(({ name, layer }) => [name, layer]);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
    return this.shapes(input)[this.#leaves.output] ?? input;
  }

  /** The shapes of the outputs of {@linkcode Graph.leaves}. */
  shapes(input: Shape): Shape[] {
    return shapesOf(this.#leaves.nodes, input);
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    const shapes = this.shapes(input);
    return this.#leaves.nodes.reduce(
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
    checkTensor(this.type, "x", x, x);
    checkOptions(this.type, options);
    if (this.training) return this.#trainingForward(x, options);
    const { output } = this.#leaves;
    const plan = this.#plans.get(this.#leaves.nodes, x, new Set([output]));
    const shape = plan.steps.find((step) => step.output === output)?.shape ?? x.shape;
    const root = plan.roots.get(output)!;
    if (root < 0) return viewAs(this.type, x, shape, options);
    return produce(this.type, x, { shape, out: options.out }, (result) => {
      run(plan, x, new Map([[root, result]]));
    });
  }

  /**
   * Computes the outputs of several nodes in one pass, in evaluation mode. The caller disposes of
   * all of them, together: where one is a view of another, they share memory.
   *
   * @param names The names of nodes, as in {@linkcode Graph.leaves}.
   * @throws {ArgumentError} When there is no such node, or the shape of the input does not fit.
   * @throws {PembrokeError} When the network has no values, or is in training mode.
   */
  outputsOf(x: Tensor, names: readonly string[]): Tensor[] {
    checkTensor(this.type, "x", x, x);
    if (this.training) {
      throw new PembrokeError(`${this.type}: outputsOf() needs evaluation mode; call eval()`);
    }
    const { nodes } = this.#leaves;
    const indices = names.map((name) => {
      const index = nodes.findIndex((node) => node.name === name);
      if (index >= 0) return index;
      throw new ArgumentError(this.type, "the name of an output", name, "the name of a node");
    });
    const plan = this.#plans.get(nodes, x, new Set(indices));
    const results = new Map<number, Tensor>();
    try {
      for (const { output, shape } of plan.steps) {
        if ([...plan.roots.values()].includes(output)) results.set(output, x.backend.empty(shape));
      }
      const values = run(plan, x, results);
      return indices.map((index) => {
        const root = plan.roots.get(index)!, result = results.get(root);
        results.delete(root); // the first output owns the memory, others are views of it
        return result?.adopt(values[index].shape) ?? values[index];
      });
    } catch (error) {
      for (const tensor of results.values()) tensor.dispose();
      throw error;
    }
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return this.#backward(dy, true)!;
  }

  /** See {@linkcode Layer.backwardParameters}. */
  override backwardParameters(dy: Tensor): void {
    this.#backward(dy, false);
  }

  #backward(dy: Tensor, needsInput: boolean): Tensor | undefined {
    checkTensor(this.type, "dy", dy, dy);
    const pass = this.#pass;
    if (!pass) {
      throw new PembrokeError(
        `${this.type}: backward() needs a forward pass in training mode; call train() first`,
      );
    }
    try {
      return backpropagate(pass.steps, pass.output, dy, pass.x, needsInput);
    } catch (error) {
      for (const [, layer] of this.leaves()) layer.forget();
      throw error;
    } finally {
      this.#disposePass();
    }
  }

  /** See {@linkcode Layer.train}. */
  override train(generator: RandomGenerator = new RandomGenerator(0)): this {
    this.#plans[Symbol.dispose]();
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
    this.#disposePass();
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
    this.#plans[Symbol.dispose]();
    this.#disposePass();
  }

  /** Runs all layers, and keeps their outputs for the backward pass. */
  #trainingForward(x: Tensor, { out }: ForwardOptions): Tensor {
    this.#disposePass();
    const { nodes, output } = this.#leaves;
    const steps = fuse(nodes, this.shapes(x.shape), new Set([output]), true);
    const root = rootOf(steps, output);
    const values: Tensor[] = [], activations: Tensor[] = [];
    const valueOf = (index: number) => index < 0 ? x : values[index];
    try {
      for (const { layer, inputs, output: value, activation } of steps) {
        const options = { activation, out: value === root ? out : undefined };
        values[value] = layer.forwardFrom(inputs.map(valueOf), options);
        if (value !== root && !layer.aliases) activations.push(values[value]);
      }
      this.#pass = { x, steps, output, activations };
      const result = valueOf(output);
      return root < 0 ? result : valueOf(root).adopt(result.shape);
    } catch (error) {
      for (const tensor of activations) tensor.dispose();
      if (!out) values[root]?.dispose();
      this.forget();
      throw error;
    }
  }

  #disposePass(): void {
    for (const tensor of this.#pass?.activations ?? []) tensor.dispose();
    this.#pass = undefined;
  }
}

/** Returns the value whose memory holds an output: the one that it is a view of. −1: the input. */
function rootOf(steps: readonly Step[], output: number): number {
  const step = steps.find((step) => step.output === output);
  return step?.layer.aliases ? rootOf(steps, step.inputs[0]) : output;
}

/** Runs a plan, and returns the tensors of all values. */
function run(plan: BoundPlan, x: Tensor, results: ReadonlyMap<number, Tensor>): readonly Tensor[] {
  const values: Tensor[] = [];
  const valueOf = (index: number) => index < 0 ? x : values[index];
  for (const step of plan.steps) {
    const { layer, inputs, output, shape, activation, norm, residual } = step;
    const out = results.get(output)?.view(shape) ?? plan.tensors[output];
    if (layer.aliases) {
      values[output] = out ?? valueOf(inputs[0]).view(shape);
      continue;
    }
    values[output] = layer.forwardFrom(inputs.map(valueOf), {
      out,
      ...(activation && { activation }),
      ...(norm && { norm }),
      ...(residual !== undefined && { residual: valueOf(residual) }),
    });
  }
  return values;
}
