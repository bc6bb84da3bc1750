/**
 * Makes the layers of a network from the nodes of an ONNX graph.
 *
 * @module
 */

import {
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  Add,
  AvgPool2d,
  Concat,
  Dropout,
  Flatten,
  Hardtanh,
  type Layer,
  MaxPool2d,
  type PackingOptions,
  Permute,
  type Precision,
  type PrecisionOptions,
  ReLU,
  ReLU6,
  Reshape,
  Sigmoid,
  Softmax,
} from "../../layers/mod.ts";
import { ArgumentError, FileError } from "../../errors.ts";
import type { AlgorithmOptions } from "../../ops/prepared_conv.ts";
import { elements, sameShape, type Shape } from "../../tensor.ts";
import { formatShape } from "../../weights/io/quote.ts";
import { maxDimensions } from "../../weights/layout.ts";
import type { ParameterMapping } from "../../weights/onnx/reader.ts";
import { Affine, ChannelAffine, FakeQuantize } from "./constant_layers.ts";
import { Blocks } from "./moving_layers.ts";
import type { NodeReader } from "./node.ts";
import { ordersOf, tooLarge } from "./shape_rules.ts";
import {
  type Absorb,
  type Activation,
  type Clamped,
  type GraphValue,
  type Grid,
  isOpen,
  type LayerStep,
  type Origin,
  type Scaled,
  scaledOf,
} from "./values.ts";

/** Options of the layers. */
export interface LayerOptions extends PrecisionOptions, AlgorithmOptions, PackingOptions {
  /** The probability of dropout in training mode, instead of the one in the file. */
  readonly dropout?: number;
}

/** Converts a node to layers. Returns the values of its outputs. */
export type Operation = (
  node: NodeReader,
  build: LayerBuilder,
) => GraphValue | readonly (GraphValue | undefined)[];

/** What a layer has besides its inputs. */
interface StepOptions {
  readonly parameters?: Readonly<Record<string, ParameterMapping>>;
  readonly suffix?: string;
  readonly absorb?: Absorb;
  readonly isBound?: boolean;
  /** What patterns find. Default: the operation of the node. */
  readonly origin?: Partial<Origin>;
}

/** See {@linkcode LayerBuilder.channelAffine}. */
interface ChannelParameters {
  readonly mean?: ParameterMapping;
  readonly weight?: ParameterMapping;
  readonly bias?: ParameterMapping;
}

/** The most values in a layer's output per image: 256 MB, a hundred times more than in AlexNet. */
const maxValues = 1 << 26;

/** The most layers of a network. The largest have about a thousand; one node may need dozens. */
const maxLayers = 10_000;

/** The most numbers that countNumbers() counts: a hundred times more than in large networks. */
const maxNumbers = 1 << 22;

/**
 * The most multiply-adds for each sample in products of two tensors, none of which is in the file: a hundred
 * times more than in large networks.
 */
const maxProducts = 2 ** 40;

/** Layers whose output has no values below 0. */
const positiveLayers = [ReLU, ReLU6, Sigmoid, Softmax];

/** Layers whose output has none if their inputs have none. */
const keepingLayers = [
  ...[AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool2d, Add, AvgPool2d, Blocks, Concat],
  ...[Dropout, Flatten],
  ...[FakeQuantize, MaxPool2d, Permute, Reshape],
];

/** The rounding of a few factors in float32, whose product should be 1. */
const rounding = 2 ** -22;

/** Makes layers. */
export class LayerBuilder {
  /** All layers, in an order in which they can be computed. */
  readonly steps: LayerStep[] = [];
  /** The nodes that multiplied and added, and the layers that compute it. */
  readonly #scales = new Map<Scaled, { readonly node: NodeReader; made?: Activation }>();
  /** The nodes that clamp, and the layers that do it. */
  readonly #clamps = new Map<Clamped, { readonly node: NodeReader; made?: Activation }>();
  /** How many scales of weights the layers may still have. */
  #numbersLeft = maxNumbers;
  #productsLeft = maxProducts;
  /** Whether layers compute in 8 bits that do in the file. */
  readonly usesIntegers: boolean;

  /**
   * @param options The options of the layers.
   * @param hasIntegers Whether the file has weights in 8 bits that the kernels can take.
   */
  constructor(readonly options: LayerOptions, hasIntegers: boolean) {
    const { precision = hasIntegers ? "int8" : "f32" } = options;
    this.usesIntegers = precision === "int8";
  }

  /**
   * Counts numbers of a layer that are not in the file as they are: scales in 8 bits, and what the
   * import computes. Call it before they are copied.
   */
  countNumbers(node: NodeReader, count: number): void {
    this.#numbersLeft -= count >= 0 ? count : Infinity;
    if (this.#numbersLeft < 0) throw node.bad("the graph uses its weights too many times");
  }

  /** Counts multiply-adds of a layer whose factors are both computed. */
  countProducts(node: NodeReader, count: number): void {
    this.#productsLeft -= count;
    if (this.#productsLeft < 0) throw node.bad("the graph multiplies too large matrices");
  }

  /**
   * The precision of a layer's weights.
   *
   * @param isInteger Whether they are integers in the file.
   */
  precisionOf(isInteger: boolean): Precision {
    return this.options.precision ?? (isInteger ? "int8" : "f32");
  }

  /** Adds a layer. If one of its inputs cannot be computed, neither can its output. */
  apply(
    node: NodeReader,
    layer: Layer,
    inputs: readonly Activation[],
    { parameters = {}, suffix = "", absorb, origin, isBound }: StepOptions = {},
  ): Activation {
    const from = inputs.map((input) => this.computed(input)), [first] = from;
    const shape = node.attempt(() => layer.outputShapeOf(from.map(({ shape }) => shape)));
    if (shape[0] !== first.shape[0]) {
      throw node.bad(`its output ${formatShape(shape)} has another batch axis: not supported`);
    }
    if (shape.length > maxDimensions) throw tooLarge(node, shape, shape);
    if (elements(shape) > maxValues * shape[0]) {
      throw tooLarge(node, shape, otherShape(layer, shape, from));
    }
    if (this.steps.length === maxLayers) {
      throw new FileError(node.scope.file, `its graph needs more than ${maxLayers} layers`);
    }
    for (const source of Object.values(parameters)) {
      if ("numbers" in source) this.countNumbers(node, source.numbers.length);
    }
    const error = from.find(({ error }) => error)?.error;
    const step = { node: node.node, suffix, layer, inputs: from, parameters, absorb, isBound };
    if (!error) this.steps.push(step);
    const all = { op: node.op, inputs, ...origin }, other = otherShape(layer, shape, from);
    const isPositive = positiveLayers.some((type) => layer instanceof type) ||
      keepingLayers.some((type) => layer instanceof type) && from.every((x) => x.isPositive);
    return {
      ...{ kind: "activation", shape, other, origin: all, isPositive },
      ...(error ? { error } : { step }),
    };
  }

  /**
   * Rounds to the integers of a grid. Convolutions in 8 bits round their inputs themselves: then the
   * values are only clamped, since rounding twice makes larger errors. A lower limit of 0 is a ReLU,
   * which the layer before computes.
   */
  round(node: NodeReader, x: Activation, grid: Grid): Activation {
    if (!this.usesIntegers) return this.apply(node, new FakeQuantize(grid.scale, grid.lowest), [x]);
    const from = this.computed(x), isClamped = grid.lowest === 0 && !from.isPositive;
    return this.clampLater(node, isClamped ? this.apply(node, new ReLU(), [from]) : from, grid);
  }

  /** Clamps to the range of a grid. A layer is only made if another one takes the result. */
  clampLater(node: NodeReader, of: Activation, { low, high }: Grid): Activation {
    const clamped = { of, low, high }, { shape, other, error, isPositive } = of;
    this.#clamps.set(clamped, { node });
    return { kind: "activation", shape, other, clamped, error, isPositive };
  }

  /** An output in the shape of its input that no layer computes, unless it is a part of a pattern. */
  pattern(node: NodeReader, x: Activation, where: string): Activation {
    const { shape, other } = x, origin = { op: node.op, inputs: [x] };
    const error = node.bad(`this operation is only supported ${where}`);
    return { kind: "activation", shape, other, origin, error };
  }

  /** `scale · x + shift`. A layer is only made if another one takes the result. */
  scale(node: NodeReader, x: Activation, scale: number, shift: number): Activation {
    const before = scaledOf(x);
    const all = {
      of: before.of,
      scale: before.scale * scale,
      shift: before.shift * scale + shift,
    };
    if (Math.abs(all.scale - 1) < rounding && all.shift === 0) return before.of;
    const { shape, other, error } = before.of;
    this.#scales.set(all, { node });
    return { kind: "activation", shape, other, scaled: all, error };
  }

  /** (x − mean) · weight + bias for each channel. */
  channelAffine(
    node: NodeReader,
    x: Activation,
    affine: ChannelParameters,
    options: StepOptions = {},
  ): Activation {
    const [batch, channels] = x.shape, rank = x.shape.length, shape = [channels];
    if (rank > 4) {
      const flat = this.view(node, x, [batch, channels, elements(x.shape.slice(2))]);
      return this.view(node, this.channelAffine(node, flat, affine, options), x.shape);
    }
    const parameters = {
      weight: affine.weight ?? { shape, numbers: [1] },
      bias: affine.bias ?? { shape, numbers: [0] },
      running_mean: affine.mean ?? { shape, numbers: [0] },
      running_var: { shape, numbers: [1] },
    };
    return this.apply(node, new ChannelAffine(channels), [x], { ...options, parameters });
  }

  /** Changes the shape, but neither the batch nor the order of elements. */
  view(node: NodeReader, x: Activation, shape: Shape, options: StepOptions = {}): Activation {
    if (sameShape(x.shape, shape)) return x;
    const { step } = x, isView = step?.layer instanceof Reshape || step?.layer instanceof Flatten;
    if (isView) return this.view(node, step.inputs[0], shape, options);
    const layer = shape.length === 2 ? new Flatten() : new Reshape(shape.slice(1));
    return this.apply(node, layer, [x], { suffix: ".view", ...options });
  }

  /** Changes the order of axes, of which the batch stays the first. */
  permute(
    node: NodeReader,
    x: Activation,
    order: readonly number[],
    options: StepOptions = {},
  ): Activation {
    const { step } = x;
    if (step?.layer instanceof Permute) {
      const { dims } = step.layer;
      return this.permute(node, step.inputs[0], order.map((axis) => dims[axis]), options);
    }
    if (order.every((axis, i) => axis === i)) return x;
    // Axes of size 1 may move: the elements stay where they are. A view has fixed sizes, though.
    const moved = order.filter((axis) => axis === 0 || x.shape[axis] > 1);
    const isFixed = sameShape(x.shape, x.other);
    if (isFixed && order[0] === 0 && moved.every((axis, i) => i === 0 || axis > moved[i - 1])) {
      return this.view(node, x, order.map((axis) => x.shape[axis]), options);
    }
    return ordersOf(x.shape, order).reduce((y, dims) => {
      return this.apply(node, new Permute(dims), [y], { suffix: ".permute", ...options });
    }, x);
  }

  /** The mean or maximum along some axes other than the batch, which stay with size 1. */
  reduce(
    node: NodeReader,
    x: Activation,
    kind: "mean" | "max",
    axes: readonly number[],
  ): Activation {
    const layer = kind === "mean" ? new AdaptiveAvgPool2d(1) : new AdaptiveMaxPool2d(1);
    const { length } = x.shape, is1d = length === 3 && kind === "mean";
    if ((is1d || length === 4) && axes[0] === 2 && axes.length === length - 2) {
      return this.apply(node, is1d ? new AdaptiveAvgPool1d(1) : layer, [x]);
    }
    const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
    const [batch] = x.shape, count = elements(axes.map((axis) => x.shape[axis]));
    const order = [...kept, ...axes], ordered = this.permute(node, x, order);
    const isAlong = axes.length === 1 && !isOpen(x, axes[0]);
    if (order.length === 4 && (isAlong || axes.length === 2)) { // such as H and W of [N, H, W, C]
      const row = kind === "mean" ? new AvgPool2d([1, count]) : new MaxPool2d([1, count]);
      const back = order.map((_, axis) => order.indexOf(axis));
      return this.permute(node, this.apply(node, isAlong ? row : layer, [ordered]), back);
    }
    const rows = this.view(node, ordered, [batch, elements(x.shape) / (batch * count), 1, count]);
    const reduced = this.apply(node, layer, [rows]);
    return this.view(node, reduced, x.shape.map((size, axis) => axes.includes(axis) ? 1 : size));
  }

  /** Makes the layer that multiplies and adds, or clamps, if there is none yet. */
  computed(x: Activation): Activation {
    const clamp = x.clamped && this.#clamps.get(x.clamped);
    if (x.clamped && clamp) {
      const { of, low, high } = x.clamped;
      return clamp.made ??= this.apply(clamp.node, new Hardtanh(low, high), [of], {
        suffix: ".clamp",
      });
    }
    const entry = x.scaled && this.#scales.get(x.scaled);
    if (!x.scaled || !entry) return x;
    const { of, scale, shift } = x.scaled, { node } = entry, shape = [of.shape[1]];
    // Convolutions compute the same factors if they belong to channels, of which the number is fixed.
    if (shape[0] === undefined || isOpen(of, 1)) {
      return entry.made ??= this.apply(node, new Affine(scale, shift), [of]);
    }
    const weight = { shape, numbers: [scale] }, bias = { shape, numbers: [shift] };
    return entry.made ??= this.channelAffine(node, of, { weight, bias });
  }
}

/** The shape of a layer's output for images of another size. */
function otherShape(layer: Layer, shape: Shape, inputs: readonly Activation[]): Shape {
  if (inputs.every((x) => x.other === x.shape)) return shape;
  try {
    return layer.outputShapeOf(inputs.map(({ other }) => other));
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    // The layer refuses this size, but perhaps not every other one.
    return shape.map((size, axis) => axis > 1 || isOpen(inputs[0], axis) ? 2 * size : size);
  }
}
