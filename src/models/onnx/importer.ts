/**
 * Walks through the nodes of an ONNX graph: computes sizes, and makes layers of the rest.
 *
 * @module
 */

import { LogSoftmax, Sigmoid, Softmax } from "../../layers/mod.ts";
import { View } from "../../layers/view.ts";
import { elements, sameShape } from "../../tensor.ts";
import { escapeText } from "../../weights/io/quote.ts";
import type { OnnxNode } from "../../weights/onnx/graph.ts";
import type { OnnxFile } from "../../weights/onnx/reader.ts";
import { LayerBuilder, type LayerOptions } from "./builder.ts";
import { fold, isFolded } from "./fold.ts";
import type { GraphInput, ModelInput } from "./input.ts";
import { LargeFolder, NumberBudget } from "./large.ts";
import { NodeError, NodeReader, type Scope } from "./node.ts";
import { withTensor } from "./operations/constants.ts";
import { operate } from "./operations/lifted.ts";
import { operations, severalOutputs, takesIntegers } from "./operations/mod.ts";
import { checkFloats, isSymmetric } from "./operations/quantization.ts";
import { orderNodes } from "./order.ts";
import { Problems } from "./problems.ts";
import { changeStored, repeatForBatch, shapeConstant } from "./stored.ts";
import {
  type Activation,
  byteGrid,
  type Constant,
  type GraphValue,
  isIndexTensor,
  type LayerStep,
  maxFolded,
  type NumberArray,
  numberCount,
  sameNumbers,
  type StoredConstant,
  storedConstant,
  wholeNumbers,
} from "./values.ts";

/** The most elements of a computed value. A small file may have {@linkcode maxFolded}, others one for each byte. */
const maxElements = 1 << 21;

/** Converts a graph. */
export class GraphImport implements Scope {
  readonly file: string;
  readonly opset: number;
  readonly batches: GraphInput["batches"];
  readonly isBatchFixed: boolean;
  /** Whether the graph works for the present size of images only. */
  isSizeBound = false;
  readonly #file: OnnxFile;
  readonly #input: ModelInput;
  readonly #values = new Map<string, GraphValue>();
  readonly #builder: LayerBuilder;
  readonly #problems: Problems;
  /** The names of outputs that cannot be computed, which was noted. */
  readonly #failed = new Set<string>();
  readonly #budget: NumberBudget;
  readonly #large: LargeFolder;
  /** How many nodes still take each name. */
  readonly #uses = new Map<string, number>();

  constructor(file: OnnxFile, input: ModelInput, options: LayerOptions) {
    this.file = file.name;
    this.opset = file.graph.opset;
    this.batches = input.batches;
    this.isBatchFixed = input.isBatchFixed;
    this.#file = file;
    this.#input = input;
    const hasIntegers = [...file.graph.tensors.values()]
      .some(({ quantization }) => quantization && isSymmetric(quantization));
    this.#builder = new LayerBuilder(options, hasIntegers);
    this.#problems = new Problems(file);
    this.#large = new LargeFolder(file);
    this.#budget = new NumberBudget(file.fileBytes);
    const { shape, other, isBytes } = input;
    const bytes = isBytes && { grid: byteGrid, isInteger: true, isPositive: true };
    this.#values.set(input.name, { kind: "activation", shape, other, ...bytes });
  }

  /** The layers, in an order in which they can be computed. */
  get steps(): readonly LayerStep[] {
    return this.#builder.steps;
  }

  /**
   * Returns the graph's outputs.
   *
   * @throws {FileError} When something is not supported. It names all nodes that are not.
   */
  async run(): Promise<ReadonlyMap<string, Activation>> {
    const nodes = orderNodes(this.#file, this.#input.name);
    for (const name of nodes.flatMap(({ inputs }) => inputs)) {
      this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
    }
    for (const node of nodes) await this.#convert(node);
    const outputs = new Map<string, Activation>();
    if (this.#file.graph.outputs.length === 0) throw this.#file.bad("has no outputs: damaged");
    const all = this.#file.graph.outputs;
    const others = all.filter(({ name }) => !this.#scores(name))
      .map(({ name }) => this.value(name)).filter((value) => value?.kind === "activation");
    for (const { name } of all) {
      const scores = this.#scores(name);
      if (scores && others.some((other) => this.#isRanked(other, scores))) continue;
      const value = scores && all.length === 1 ? scores : this.value(name);
      if (value?.kind === "activation") {
        if (value.isInteger && value.grid !== wholeNumbers) {
          throw this.#file.bad(`its output ${escapeText(name)} holds integers: not supported`);
        }
        outputs.set(name, this.#problems.check(this.#builder.computed(value)));
      } else if (value?.kind === "moved") {
        this.#problems.check(value.of);
        if (value.error instanceof NodeError) this.#problems.add(value.error);
      } else if (!this.#failed.has(name)) {
        throw this.#file.bad(`its output ${escapeText(name)} does not depend on its input`);
      }
    }
    this.#problems.throwIfAny();
    return outputs;
  }

  /** The scores of each image, [N, scores], of which an output is the index of the largest. */
  #scores(name: string): Activation | undefined {
    const value = this.value(name);
    if (value?.kind !== "activation" || value.origin?.op !== "ArgMax") return undefined;
    const { inputs: [scores], numbers: [axis] = [] } = value.origin, { shape } = scores;
    const isAll = axis === 1 && shape[1] === elements(shape.slice(1));
    return this.#input.image && isAll ? scores : undefined;
  }

  /** Whether values are scores, or their probabilities. */
  #isRanked(values: Activation, scores: Activation): boolean {
    const [own, of] = [values, scores].map((x) => logitsOf(this.#builder.computed(x)));
    return own.step === of.step && sameShape(values.shape, scores.shape);
  }

  /** Gives an activation the shape of an output, and the layer that does it the name of its last. */
  view(x: Activation, { step, shape }: Activation): Activation {
    if (!step) return x;
    return this.#builder.view(new NodeReader(step.node, this), x, shape, { suffix: step.suffix });
  }

  /** See {@linkcode Scope.value}. */
  value(name: string): GraphValue | undefined {
    const known = this.#values.get(name);
    if (known) return known;
    const tensor = this.#file.graph.tensors.get(name);
    if (!tensor) return undefined;
    const constant = storedConstant(tensor);
    this.#values.set(name, constant);
    return constant;
  }

  /** See {@linkcode Scope.bindSize}. */
  bindSize(): void {
    this.isSizeBound = true;
  }

  /** Finds the values of a node's outputs. Notes why there are none. */
  async #convert(node: OnnxNode): Promise<void> {
    const reader = new NodeReader(node, this);
    let isComputed = false;
    try {
      const outputs = await this.#outputsOf(reader);
      for (const [i, name] of node.outputs.entries()) {
        if (outputs?.[i]) this.#keep(reader, name, outputs[i]);
      }
      isComputed = outputs !== undefined;
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      if (!node.isBranch) this.#problems.add(error);
    }
    for (const name of isComputed ? [] : node.outputs) this.#failed.add(name);
    for (const name of node.inputs) { // so that the memory of constants is freed
      const left = this.#uses.get(name)! - 1, value = this.#values.get(name);
      this.#uses.set(name, left);
      if (left > 0 || value?.kind !== "constant") continue;
      this.#values.delete(name);
      this.#budget.free(name);
    }
  }

  /** Keeps what a name stands for, until no node takes it any more. */
  #keep(node: NodeReader, name: string, value: GraphValue): void {
    this.#budget.keep(node, name, value);
    this.#values.set(name, value);
  }

  /** Reads the indices and masks of the file that a node takes, and counts its numbers. */
  async #readNumbers(node: NodeReader): Promise<void> {
    for (const name of node.node.inputs) {
      const value = this.value(name);
      if (value?.kind !== "constant") continue;
      const { stored, numbers } = value, isIndex = stored && isIndexTensor(stored.tensor);
      if (isIndex && !numbers && !stored.strides) {
        this.#budget.spend(node, stored.tensor.count);
        const read = await this.#file.readIntegers(stored.tensor);
        const array = { shape: stored.shape, numbers: read, isFloat: false };
        this.#keep(node, name, { ...value, numbers: [array, array] });
      }
      this.#budget.spend(node, numberCount(this.value(name)));
    }
  }

  /** Returns undefined if an input has failed. */
  async #outputsOf(node: NodeReader): Promise<readonly (GraphValue | undefined)[] | undefined> {
    const { op, domain, inputs } = node.node, create = operations.get(op);
    if (op === "If" && domain === "") {
      return this.#failed.has(inputs[0]) ? undefined : this.#branch(node);
    }
    if (domain !== "" || !create && !isFolded(op)) {
      throw node.bad(`this operation ${domain && `of ${escapeText(domain)} `}is not supported`);
    }
    if (inputs.some((name) => this.#failed.has(name))) return undefined;
    const unknown = inputs.find((name) => name !== "" && !this.value(name));
    if (unknown !== undefined) {
      throw node.bad(`its input ${escapeText(unknown)} is not supported`);
    }
    await this.#readNumbers(node); // first: the import goes on after a node that fails
    const outputs = await this.#constants(node) ?? this.#layers(node);
    node.checkUnread();
    return outputs;
  }

  /** The outputs of the branch that If takes. The inputs are its condition, and those of both branches. */
  #branch(node: NodeReader): readonly GraphValue[] {
    const { inputs, outputs } = node.node, takesFirst = node.scalar(0, "condition") !== 0;
    return outputs.map((_, i) => {
      const value = this.value(inputs[1 + i + (takesFirst ? 0 : outputs.length)] ?? "");
      if (value) return value;
      throw node.bad("what it computes is not supported");
    });
  }

  /** The outputs that do not depend on the pixels. Undefined if they do. */
  async #constants(node: NodeReader): Promise<readonly Constant[] | undefined> {
    const { op } = node, { inputs } = node.node;
    const values = inputs.map((name) => name === "" ? undefined : this.value(name));
    const all = values as (Constant | undefined)[]; // if they are
    const isShape = op === "Shape" || op === "Size", [first] = values;
    if (isShape && first && !("numbers" in first)) return [shapeConstant(node, first)];
    const constants = values.filter((value) => value?.kind === "constant");
    const given = values.filter((value) => value !== undefined);
    if (constants.length < given.length || given.length === 0) return undefined;
    if (constants.some(({ row }) => row)) return op === "Identity" ? [constants[0]] : undefined;
    const moved = changeStored(node, all);
    const isLarge = moved && elements(moved.shape) > maxFolded;
    if (isFolded(op) && !isLarge && constants.every(({ numbers }) => numbers)) {
      return this.#foldAll(node, all, moved);
    }
    if (moved) return [{ kind: "constant", stored: moved, isSized: false }];
    const repeated = repeatForBatch(node, all);
    if (repeated) return [repeated];
    if (!isFolded(op)) return undefined;
    return await this.#large.fold(node, all);
  }

  /** Computes small outputs for both batch sizes, and for other sizes of images. */
  #foldAll(
    node: NodeReader,
    inputs: readonly (Constant | undefined)[],
    stored: StoredConstant | undefined,
  ): readonly Constant[] {
    const firsts = inputs.map((input) => input?.numbers?.[0]);
    const seconds = inputs.map((input) => input?.numbers?.[1]);
    const outputs = this.#fold(node, firsts);
    const isSame = firsts.every((array, i) => array === seconds[i]);
    const again = isSame ? outputs : this.#fold(node, seconds);
    const sized = inputs.filter((input) => input?.isSized), isSized = sized.length > 0;
    const source = sized.every((input) => input!.source === sized[0]!.source) && sized[0]?.source;
    const others = isSized ? this.#foldOthers(node, inputs) : undefined;
    return outputs.map((array, i): Constant => {
      const numbers = [array, again[i]] as const, other = others?.[i];
      const isFree = !isSized || other !== undefined && sameNumbers(array.numbers, other.numbers) &&
          sameShape(array.shape, other.shape);
      return {
        ...{ kind: "constant", numbers, isSized: !isFree },
        ...(!isFree && { others: other, ...(source && { source }) }),
        ...(stored && i === 0 && { stored }),
      };
    });
  }

  /** Computes outputs for other sizes of images. Undefined if that fails. */
  #foldOthers(
    node: NodeReader,
    inputs: readonly (Constant | undefined)[],
  ): readonly NumberArray[] | undefined {
    if (inputs.some((input) => input?.isSized && !input.others)) return undefined;
    try {
      return this.#fold(node, inputs.map((input) => input?.others ?? input?.numbers?.[0]));
    } catch (error) {
      if (error instanceof NodeError) return undefined;
      throw error;
    }
  }

  #fold(node: NodeReader, inputs: readonly (NumberArray | undefined)[]): readonly NumberArray[] {
    node.maxElements = Math.min(maxElements, Math.max(maxFolded, this.#file.fileBytes));
    const given = inputs as readonly NumberArray[]; // fold() checks those that it needs
    return this.#budget.compute(node, () => fold(node, given));
  }

  /** The outputs of layers. */
  #layers(node: NodeReader): readonly (GraphValue | undefined)[] {
    const { op, outputCount } = node, create = operations.get(op);
    if (!create) throw node.bad("this operation is only supported for constants");
    if (outputCount > 1 && !severalOutputs.has(op)) {
      throw node.bad(
        op === "BatchNormalization"
          ? "it outputs the statistics of a batch, as in training mode: export the model after eval()"
          : `it has ${outputCount} outputs, only one is supported`,
      );
    }
    if (!takesIntegers.has(op)) checkFloats(node);
    const own = withTensor(node, this.#builder);
    const value = node.attempt(() => operate(own, this.#builder, create));
    return "kind" in value ? [value] : value;
  }
}

/** Scores before a softmax or sigmoid, which leaves the largest of them the largest. */
function logitsOf(x: Activation): Activation {
  for (;;) {
    const { layer, inputs: [from] = [] } = x.step ?? {};
    if (!layer || !from) return x;
    const isSoftmax = layer instanceof Softmax || layer instanceof LogSoftmax;
    const isAll = isSoftmax && from.shape.at(layer.dim) === elements(from.shape.slice(1));
    if (!isAll && !(layer instanceof Sigmoid) && !(layer instanceof View)) return x;
    x = from;
  }
}
