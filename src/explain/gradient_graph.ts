/**
 * Backward passes in evaluation mode, without gradients of parameters.
 *
 * Layers compute gradients only in training mode. There, batch normalisation uses the statistics of the
 * batch, dropout is active, and parameters get gradients. An explanation must do none of that. So it
 * runs a graph of stand-ins: they share the network's weights, normalise with the stored statistics,
 * drop nothing and have no parameters.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import { Conv } from "../layers/conv.ts";
import type { FusedActivation } from "../ops/fused.ts";
import { overridesForward } from "../layers/forward.ts";
import { Graph } from "../layers/graph.ts";
import { graphInput, type GraphNode } from "../layers/graph_builder.ts";
import type { LeafNode } from "../layers/graph_nodes.ts";
import { type ForwardOptions, Layer } from "../layers/layer.ts";
import { Linear } from "../layers/linear.ts";
import { BatchNorm } from "../layers/norm.ts";
import { Dropout, StochasticDepth } from "../layers/dropout.ts";
import { Identity } from "../layers/view.ts";
import { conv } from "../ops/conv.ts";
import { convBackwardInput } from "../ops/conv_backward.ts";
import { linear, linearBackwardInput } from "../ops/linear.ts";
import { batchNorm } from "../ops/norm.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import type { InputGradient } from "./input_gradients.ts";

/** How a stand-in computes its output. */
interface StandInOptions {
  readonly activation?: FusedActivation;
  readonly out?: Tensor;
}

/** A stand-in for a layer with parameters. It has none itself. */
class StandIn extends Layer {
  override readonly type: string;
  override readonly fusesActivation: boolean;

  constructor(
    readonly layer: Layer,
    readonly compute: (x: Tensor, options: StandInOptions) => Tensor,
    readonly inputGradient: InputGradient,
  ) {
    super();
    this.type = layer.type;
    this.fusesActivation = layer.fusesActivation;
  }

  override outputShape(input: Shape): Shape {
    return this.layer.outputShape(input);
  }

  override forward(x: Tensor, { activation, out }: ForwardOptions = {}): Tensor {
    const y = this.compute(x, { activation, out });
    this.save(x, ...(activation ? [y] : []));
    return y;
  }

  override backward(dy: Tensor): Tensor {
    return this.backwardThroughRelu(dy, this.inputGradient);
  }
}

/**
 * The part of a network between two of its values, made of stand-ins. Dispose of it: it may hold copies
 * of weights that the network stores in fewer than 32 bits.
 */
export class GradientGraph implements Disposable {
  readonly #graph: Graph;
  readonly #owned: readonly Tensor[];

  private constructor(graph: Graph, owned: readonly Tensor[]) {
    this.#graph = graph;
    this.#owned = owned;
  }

  /**
   * Makes stand-ins for the nodes that lead from one value to another.
   *
   * @param nodes All nodes of the network.
   * @param from The index of the value that the part takes; −1 is the input of the network. All paths
   * to the output must lead through it.
   * @param to The index of the value that it computes.
   * @throws {PembrokeError} When a layer has parameters or drops values, but is of an unknown class.
   */
  static async make(nodes: readonly LeafNode[], from: number, to: number): Promise<GradientGraph> {
    const needed = nodesBetween(nodes, from, to), owned: Tensor[] = [];
    const nameOf = (index: number) => index === from ? graphInput : nodes[index].name;
    try {
      const standIns: GraphNode[] = [];
      for (const [i, { name, layer, inputs }] of nodes.entries()) {
        if (!needed.has(i)) continue;
        standIns.push({ name, layer: await standInFor(layer, owned), inputs: inputs.map(nameOf) });
      }
      return new GradientGraph(new Graph(standIns), owned);
    } catch (error) {
      for (const tensor of owned) tensor.dispose();
      throw error;
    }
  }

  /**
   * Computes the gradient of a class's score with respect to the input. A single score is that of the
   * second of two classes, and minus that of the first.
   *
   * @param x The input of one sample.
   * @param index The index of the class.
   * @returns The gradient, in the shape of x. The caller disposes of it.
   */
  gradient(x: Tensor, index: number): Tensor {
    const graph = this.#graph;
    try {
      // Layers without parameters are the network's own: nothing may run between train() and eval().
      using y = graph.train().forward(x);
      const dy = new Float32Array(elements(y.shape));
      if (dy.length > 1) dy[index] = 1;
      else dy[0] = index > 0 ? 1 : -1;
      using upstream = x.backend.upload(dy, y.shape);
      return graph.backward(upstream);
    } finally {
      graph.eval();
    }
  }

  /** Frees the copies of weights. */
  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor.dispose();
  }
}

/** The node `to` and those after `from` that it depends on. */
function nodesBetween(nodes: readonly LeafNode[], from: number, to: number): ReadonlySet<number> {
  const found = new Set([to]);
  for (let i = to; i > from; i--) {
    if (!found.has(i)) continue;
    for (const input of nodes[i].inputs) if (input > from) found.add(input);
  }
  return found;
}

/** Returns a stand-in for a layer. Adds tensors that it needs to `owned`. */
async function standInFor(layer: Layer, owned: Tensor[]): Promise<Layer> {
  const drops = layer instanceof Dropout || layer instanceof StochasticDepth;
  if (drops && layer.aliases) return new Identity();
  if (!drops && !("leaves" in layer) && layer.stateDict().size === 0) return layer;
  if (!overridesForward(layer)) {
    if (layer instanceof Conv) return standInForConv(layer, await weightOf(layer, owned));
    if (layer instanceof Linear) return standInForLinear(layer, await weightOf(layer, owned));
    if (layer instanceof BatchNorm) return standInForNorm(layer, owned);
  }
  const { inputGradientOf } = await import("./input_gradients.ts");
  const gradient = await inputGradientOf(layer, () => weightOf(layer, owned));
  if (gradient) return new StandIn(layer, (x, options) => layer.forward(x, options), gradient);
  throw new PembrokeError(
    `explain: the class ${layer.constructor.name} has a forward() of its own, and its gradient in ` +
      "evaluation mode is unknown; use a class of this library",
  );
}

/** Calls the operation, because the layer itself would pack its weights once more. */
function standInForConv(layer: Conv, weight: Tensor): Layer {
  const axes = weight.shape.length === 3 ? 1 : 2, bias = biasOf(layer);
  const algorithm = weight.backend.device === "webgpu" ? "direct" : layer.algorithm;
  const all = { ...layer.options, algorithm };
  return new StandIn(
    layer,
    (x, options) => conv(axes, x, weight, bias, { ...all, ...options }),
    (dy, x) => convBackwardInput(axes, dy, weight, x.shape, all),
  );
}

function standInForLinear(layer: Linear, weight: Tensor): Layer {
  return new StandIn(
    layer,
    (x, options) => linear(x, weight, biasOf(layer), options),
    (dy) => linearBackwardInput(dy, weight),
  );
}

/** With stored statistics, the gradient is dy · weight / √(variance + eps). */
function standInForNorm(layer: BatchNorm, owned: Tensor[]): Layer {
  const { runningVar, weight } = layer.tensors, { backend } = runningVar, { eps } = layer.options;
  const zeros = backend.empty(runningVar.shape);
  owned.push(zeros);
  backend.fill(zeros, 0);
  const scale = { runningMean: zeros, runningVar, weight, bias: null };
  return new StandIn(
    layer,
    (x, options) => batchNorm(x, layer.tensors, { eps, ...options }),
    (dy) => batchNorm(dy, scale, { eps }),
  );
}

function biasOf({ parameters: { bias } }: Layer): Tensor | null {
  return bias?.tensor ?? null;
}

/** The float32 weights of a layer; a copy in `owned`, if they are stored in fewer bits. */
async function weightOf(layer: Layer, owned: Tensor[]): Promise<Tensor> {
  const weight = layer.parameters.weight!;
  if (weight.tensor) return weight.tensor;
  const copy = layer.backend.upload(await weight.read(), weight.shape);
  owned.push(copy);
  return copy;
}
