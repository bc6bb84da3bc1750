/**
 * Writes networks as TensorFlow Lite models, for a fixed batch size. Convolutions compute the batch
 * normalisation and the ReLU or ReLU6 that follow, as in the output of TensorFlow's converter. Numbers
 * are those of TensorFlow Lite's schema.fbs.
 *
 * @module
 */

import {
  blob,
  type Fields,
  flatbuffer,
  integers,
  type Node,
  table,
  tables,
  text,
} from "./flatbuffer.ts";
import { affine, fold, type FoldedOperation } from "./folding.ts";
import { reverseAxes, swapInner } from "./layout.ts";
import type { Network } from "./network.ts";
import { type ActivationName, inputName, type Operation, type Shape } from "./operations.ts";
import type { Values } from "./peer.ts";
import { product } from "./random.ts";

/** Padding */
const samePadding = 0, validPadding = 1;
/** TensorType */
const float32 = 0, int32 = 2;
/** ActivationFunctionType */
const fusedCodes = { relu: 1, relu6: 3 };

type Folded = FoldedOperation<keyof typeof fusedCodes>;

/** BuiltinOperator, and the options' place in BuiltinOptions. 0: an operator without options. */
const operators = {
  ADD: [0, 11],
  AVERAGE_POOL_2D: [1, 5],
  CONCATENATION: [2, 10],
  CONV_2D: [3, 1],
  DEPTHWISE_CONV_2D: [4, 2],
  FULLY_CONNECTED: [9, 8],
  LOGISTIC: [14, 0],
  MAX_POOL_2D: [17, 5],
  MUL: [18, 21],
  RELU: [19, 0],
  RELU6: [21, 0],
  RESHAPE: [22, 17],
  PAD: [34, 22],
  TRANSPOSE: [39, 26],
  MEAN: [40, 27],
  PADV2: [60, 43],
  SLICE: [65, 48],
  HARD_SWISH: [117, 0],
} as const;

type Operator = keyof typeof operators;

const operatorNames = Object.keys(operators) as Operator[];

/** A model with the input [batch, H, W, 3] and the output [batch, classes]. */
export function tfliteModel(network: Network, batch: number): Uint8Array<ArrayBuffer> {
  const graph = new GraphWriter(network, batch);
  for (const folded of fold(network, ["relu", "relu6"])) graph.add(folded);
  return graph.model();
}

class GraphWriter {
  readonly #network: Network;
  readonly #batch: number;
  /** The first buffer is empty, for tensors that are no constants. */
  readonly #buffers: Node[] = [table([])];
  readonly #tensors: Node[] = [];
  readonly #operators: Node[] = [];
  /** The tensors of operations by the name of their output. */
  readonly #values = new Map<string, number>();
  /** The names of values that are not negative. */
  readonly #positive = new Set<string>();
  #last = inputName;

  constructor(network: Network, batch: number) {
    this.#network = network;
    this.#batch = batch;
    this.#values.set(inputName, this.#tensor(this.#shape([1, ...network.image])));
  }

  /** Adds an operation and those that it computes too. */
  add(folded: Folded): void {
    const { operation, output } = folded;
    this.#values.set(output, this.#compute(folded));
    if (folded.activation || operation.op === "activation" && operation.name in fusedCodes) {
      this.#positive.add(output);
    }
    this.#last = output;
  }

  model(): Uint8Array<ArrayBuffer> {
    const codes = operatorNames.map((name) =>
      table([operators[name][0], undefined, 1, operators[name][0]])
    );
    const subgraph = table([
      tables(this.#tensors),
      integers([this.#values.get(inputName)!]),
      integers([this.#values.get(this.#last)!]),
      tables(this.#operators),
    ]);
    const model = [3, tables(codes), tables([subgraph]), text("bench"), tables(this.#buffers)];
    return flatbuffer("TFL3", table(model));
  }

  /** Returns the tensor of the result. */
  #compute({ operation, weight, bias, activation }: Folded): number {
    const inputs = operation.inputs.map((name) => this.#values.get(name)!), [x] = inputs;
    const shape = this.#shape(operation.shape),
      fused = activation ? fusedCodes[activation] : 0;
    switch (operation.op) {
      case "conv":
        return this.#conv(operation, weight!.values, bias, fused);
      case "linear": {
        const { shape: sizes, values } = weight!;
        const weights = [this.#floats(values, sizes), this.#bias(bias, sizes[0])];
        return this.#run("FULLY_CONNECTED", [x, ...weights], shape, [fused]);
      }
      case "norm": {
        const { scale, shift } = affine(this.#network, operation), size = [scale.length];
        const scaled = this.#run("MUL", [x, this.#floats(scale, size)], shape, [0]);
        return this.#run("ADD", [scaled, this.#floats(shift, size)], shape, [0]);
      }
      case "activation":
        return this.#activation(operation.name, x, shape);
      case "hardsigmoid": {
        // min(max(alpha x + beta, 0), 1) = relu6(6 alpha x + 6 beta) / 6
        const { alpha, beta } = operation;
        if (Math.abs(6 * alpha - 1) > 1e-6) throw new Error("only the usual hardsigmoid");
        const moved = this.#run("ADD", [x, this.#scalar(6 * beta)], shape, [
          fusedCodes.relu6,
        ]);
        return this.#run("MUL", [moved, this.#scalar(1 / 6)], shape, [0]);
      }
      case "maxPool":
      case "avgPool":
        return this.#pool(operation);
      case "mean":
        return this.#run("MEAN", [x, this.#integers([1, 2])], shape, [1]);
      case "add":
        return inputs.reduce((a, b) => this.#run("ADD", [a, b], shape, [0]));
      case "mul":
        return this.#run("MUL", inputs, shape, [0]);
      case "concat":
        return this.#run("CONCATENATION", inputs, shape, [3]);
      case "slice": {
        const begin = this.#integers([0, 0, 0, operation.start]);
        return this.#run("SLICE", [x, begin, this.#integers(shape)], shape, []);
      }
      case "shuffle": {
        const [batch, height, width, channels] = shape, { groups } = operation;
        const parts = [groups, channels / groups], plane = [batch, height, width];
        const split = this.#reshape(x, [...plane, ...parts]);
        const swapped = this.#transpose(split, [0, 1, 2, 4, 3], [...plane, ...parts.reverse()]);
        return this.#reshape(swapped, shape);
      }
      case "flatten":
        return this.#flatten(operation.inputs[0], x, shape);
    }
  }

  #conv(
    { inputs: [input], shape, g }: Extract<Operation, { op: "conv" }>,
    weight: Values,
    bias: Values | undefined,
    fused: number,
  ): number {
    const isDepthwise = g.groups > 1 && g.groups === g.inC, area = g.kh * g.kw;
    if (g.groups > 1 && !isDepthwise) throw new Error("it has no grouped convolutions");
    // OIHW to OHWI, and for depthwise convolutions to 1HWO
    const filters = isDepthwise
      ? this.#floats(reverseAxes(weight, g.outC, 1, area), [1, g.kh, g.kw, g.outC])
      : this.#floats(swapInner(weight, g.outC, g.inC, area), [g.outC, g.kh, g.kw, g.inC]);
    const { x, padding } = this.#padded(input, g, [g.n * this.#batch, g.h, g.w, g.inC], 0);
    const dilations = [g.dilationW, g.dilationH], window = [padding, g.strideW, g.strideH];
    const weights = [filters, this.#bias(bias, g.outC)];
    return isDepthwise
      ? this.#run("DEPTHWISE_CONV_2D", [x, ...weights], this.#shape(shape), [
        ...window,
        g.outC / g.inC,
        fused,
        ...dilations,
      ])
      : this.#run("CONV_2D", [x, ...weights], this.#shape(shape), [...window, fused, ...dilations]);
  }

  #pool({ op, inputs: [input], shape, g }: Extract<Operation, { op: "maxPool" | "avgPool" }>) {
    const [batch, , , channels] = this.#shape(shape);
    const smallest = this.#positive.has(input) ? 0 : -3.4e38;
    const { x, padding } = this.#padded(input, g, [batch, g.h, g.w, channels], smallest);
    const name = op === "maxPool" ? "MAX_POOL_2D" : "AVERAGE_POOL_2D";
    const options = [padding, g.strideW, g.strideH, g.kw, g.kh, 0];
    return this.#run(name, [x], this.#shape(shape), options);
  }

  /** Pads a value, unless the operator pads alike by itself. */
  #padded(
    input: string,
    { h, w, oh, ow, kh, kw, strideH, strideW, top, left, bottom, right, ...g }: Window,
    [batch, , , channels]: Shape,
    fill: number,
  ): { x: number; padding: number } {
    const x = this.#values.get(input)!;
    if (top + left + bottom + right === 0) return { x, padding: validPadding };
    const isSame = (size: number, out: number, span: number, stride: number, before: number) =>
      out === Math.ceil(size / stride) &&
      before === Math.max(0, (out - 1) * stride + span - size) >> 1;
    const spanH = g.dilationH * (kh - 1) + 1, spanW = g.dilationW * (kw - 1) + 1;
    if (isSame(h, oh, spanH, strideH, top) && isSame(w, ow, spanW, strideW, left)) {
      return { x, padding: samePadding };
    }
    const sides = this.#integers([0, 0, top, bottom, left, right, 0, 0], [4, 2]);
    const shape = [batch, h + top + bottom, w + left + right, channels];
    const padded = fill === 0
      ? this.#run("PAD", [x, sides], shape, [])
      : this.#run("PADV2", [x, sides, this.#scalar(fill)], shape, []);
    return { x: padded, padding: validPadding };
  }

  #activation(name: ActivationName, x: number, shape: Shape): number {
    switch (name) {
      case "relu":
        return this.#run("RELU", [x], shape, []);
      case "relu6":
        return this.#run("RELU6", [x], shape, []);
      case "hardswish":
        return this.#run("HARD_SWISH", [x], shape, []);
      case "sigmoid":
        return this.#run("LOGISTIC", [x], shape, []);
      case "silu":
        return this.#run("MUL", [x, this.#run("LOGISTIC", [x], shape, [])], shape, [0]);
    }
  }

  /** PyTorch flattens channels, rows, columns. */
  #flatten(input: string, x: number, shape: Shape): number {
    const source = this.#network.operations.find(({ output }) => output === input)!;
    const [batch, height, width, channels] = this.#shape(source.shape);
    const isPlane = height * width > 1;
    const planes = [batch, channels, height, width];
    return this.#reshape(isPlane ? this.#transpose(x, [0, 3, 1, 2], planes) : x, shape);
  }

  #reshape(x: number, shape: Shape): number {
    return this.#run("RESHAPE", [x, this.#integers(shape)], shape, [integers(shape)]);
  }

  #transpose(x: number, axes: readonly number[], shape: Shape): number {
    return this.#run("TRANSPOSE", [x, this.#integers(axes)], shape, []);
  }

  /** Adds an operator, and returns the tensor of its result. */
  #run(name: Operator, inputs: readonly number[], shape: Shape, options: Fields): number {
    const y = this.#tensor(shape), [, kind] = operators[name];
    const own = kind > 0 ? [kind, table(options)] : [];
    const fields = [operatorNames.indexOf(name), integers(inputs), integers([y]), ...own];
    this.#operators.push(table(fields));
    return y;
  }

  #bias(values: Values | undefined, size: number): number {
    return this.#floats(values ?? new Float32Array(size), [size]);
  }

  #scalar(value: number): number {
    return this.#floats(Float32Array.of(value), []);
  }

  #floats(values: Values, shape: Shape): number {
    if (values.length !== product(shape)) throw new Error(`${values.length} values for ${shape}`);
    return this.#tensor(shape, float32, blob(values));
  }

  #integers(values: readonly number[], shape = [values.length]): number {
    return this.#tensor(shape, int32, blob(Int32Array.from(values)));
  }

  /** A constant, or without values the result of an operator. */
  #tensor(shape: Shape, type = float32, values?: Node): number {
    if (values) this.#buffers.push(table([values]));
    const buffer = values ? this.#buffers.length - 1 : 0, index = this.#tensors.length;
    this.#tensors.push(table([integers(shape), type, buffer, text(`t${index}`)]));
    return index;
  }

  /** [1, C, H, W] to [batch, H, W, C]; [1, features] to [batch, features]. */
  #shape([, channels, ...plane]: Shape): number[] {
    return [this.#batch, ...plane, channels];
  }
}

/** The geometry of a convolution or pooling. */
type Window = Extract<Operation, { op: "conv" | "maxPool" }>["g"];
