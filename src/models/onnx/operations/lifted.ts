/**
 * Operations on tensors whose batch is not their first axis: see moved.ts.
 *
 * @module
 */

import { formatShape } from "../../../weights/io/quote.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import { type BatchPlace, type Lifted, lifted, settled } from "../moved.ts";
import type { NodeReader } from "../node.ts";
import { formatValue } from "../shape_rules.ts";
import { type Activation, type GraphValue, type Moved, shapeOf } from "../values.ts";

/** Operations that change shapes. They move the batch themselves. */
const moving = /^(Einsum|Flatten|Reshape|Squeeze|Transpose|Unsqueeze)$/;

/** Operations on each element. Constants are repeated along the axes of the other operands. */
const elementwise: ReadonlySet<string> = new Set([
  ...["Abs", "Add", "And", "Cast", "Ceil", "Celu", "Clip", "DequantizeLinear", "Div"],
  ...["Dropout", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual"],
  ...["HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max"],
  ...["Min", "Mish", "Mul", "Neg", "Not", "Or", "Pow", "QuantizeLinear", "Reciprocal", "Relu"],
  ...["Round", "Selu", "Sigmoid", "Sign", "Softplus", "Sqrt", "Sub", "Sum", "Tanh", "Where"],
]);

/** Operations along axes, none of which may be a part of the batch; and CastLike, which only reads a type. */
const alongAxes =
  /^(Arg.+|CastLike|Concat|Expand|Gather|Gemm|LayerNormalization|MatMul|Reduce.+|Slice|(Log)?Softmax|Split)$/;

/** Runs an operation. If a tensor has its batch elsewhere, the operation sees the batch in front. */
export function operate(
  node: NodeReader,
  build: LayerBuilder,
  create: Operation,
): ReturnType<Operation> {
  const values = node.node.inputs.map((name) => node.scope.value(name));
  if (elementwise.has(node.op)) checkAxes(node, values);
  const isMoved = values.some((value) => value?.kind === "moved") || isStack(node, values);
  if (!isMoved && !differInAxes(node, values) || moving.test(node.op)) {
    return create(node, build);
  }
  const isKnown = elementwise.has(node.op) || alongAxes.test(node.op);
  return isKnown ? lift(node, build, create, values) : create(node, build); // which says why not
}

/** Checks that the output has no axes that only a constant has: no layer makes them, even of size 1. */
function checkAxes(node: NodeReader, values: readonly (GraphValue | undefined)[]): void {
  const tensors = tensorsOf(values), rank = rankOf(tensors);
  const constant = values.find((x) => x?.kind === "constant" && shapeOf(x).length > rank);
  if (!constant || tensors.length === 0) return;
  const [own, shape] = [constant, tensors[0]].map((x) => formatValue(node, x));
  throw node.bad(`a constant ${own} has more axes than its input ${shape}: not supported`);
}

/** The inputs that depend on the pixels. */
function tensorsOf(values: readonly (GraphValue | undefined)[]): readonly (Activation | Moved)[] {
  return values.filter((x) => x?.kind === "activation" || x?.kind === "moved");
}

/** The most axes of some tensors. There may be 100 000, too many for the arguments of Math.max. */
function rankOf(tensors: readonly (Activation | Moved)[]): number {
  return tensors.reduce((rank, { shape }) => Math.max(rank, shape.length), 0);
}

/** Whether values are joined along the first axis, as `torch.stack` does, in a file for a single sample. */
function isStack(node: NodeReader, values: readonly (GraphValue | undefined)[]): boolean {
  const { isBatchFixed, batches: [batch] } = node.scope, [first] = tensorsOf(values);
  return node.op === "Concat" && isBatchFixed && batch === 1 && first !== undefined &&
    node.axis("axis", first.shape.length, 1) === 0;
}

/** Whether a matrix product repeats a tensor along axes that it lacks. */
function differInAxes({ op }: NodeReader, values: readonly (GraphValue | undefined)[]): boolean {
  const [a, b] = values;
  return op === "MatMul" && a?.kind === "activation" && b?.kind === "activation" &&
    a.shape.length !== b.shape.length;
}

/** Tensors as in the file, and as an operation sees them. */
type Seen = ReadonlyMap<Activation | Moved, Lifted>;

/** Runs an operation on tensors with the batch in front. */
function lift(
  node: NodeReader,
  build: LayerBuilder,
  create: Operation,
  values: readonly (GraphValue | undefined)[],
): ReturnType<Operation> {
  const tensors = tensorsOf(values), rank = rankOf(tensors);
  const seen: Seen = new Map(tensors.map((x) => [x, padded(node, build, x, rank)]));
  const { axis, outer } = placeOf(node, seen), named: number[] = [];
  if (elementwise.has(node.op)) checkConstants(node, values, rank, axis);
  const see = (value?: GraphValue) =>
    value && value.kind !== "constant" ? seen.get(value)?.of : value;
  const result = create(node.withValues(see, { axis, named }), build);
  const back = (of: GraphValue | undefined): GraphValue | undefined => {
    if (of?.kind !== "activation") return of;
    const isGone = of.shape.length <= rank && axis >= 0; // the axes that it named
    const before = isGone ? named.filter((other) => other < axis).length : 0;
    return settled(node, build, { of, axis: axis - before, outer }, () => {
      return node.bad("its output does not have the batch as its first axis: not supported");
    });
  };
  return "kind" in result ? back(result)! : result.map(back);
}

/** Where the batch of all tensors is. A product of a matrix and a list has none. */
function placeOf(node: NodeReader, seen: Seen): BatchPlace {
  const tensors = [...seen], [[first, lifted]] = tensors, place = commonPlace([...seen.values()]);
  const hasList = node.op === "MatMul" && tensors.some(([{ shape }]) => shape.length === 1);
  if (place && !(hasList && tensors.length > 1)) return place;
  const [other] = tensors.find(([, x]) => !commonPlace([lifted, x])) ?? tensors[1];
  const [a, b] = [first, other].map((x) => formatValue(node, x));
  const what = place ? "" : ", which mixes samples";
  throw node.bad(`its inputs are ${a} and ${b}${what}: not supported`);
}

/** Checks that constants are the same for all samples. */
function checkConstants(
  node: NodeReader,
  values: readonly (GraphValue | undefined)[],
  rank: number,
  axis: number,
): void {
  for (const value of values) {
    if (value?.kind !== "constant") continue;
    const shape = shapeOf(value), size = axis < 0 ? 1 : shape.at(axis - rank) ?? 1;
    if (size === 1) continue;
    throw node.bad(`a constant ${formatShape(shape)} differs in a batch: not supported`);
  }
}

/** A tensor with the batch in front of a number of axes. */
function padded(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation | Moved,
  rank: number,
): Lifted {
  const { of, axis, outer } = lifted(node, build, x), missing = rank - x.shape.length;
  if (missing === 0) return { of, axis, outer };
  const [batch, ...sizes] = of.shape, ones = Array<number>(missing).fill(1);
  const whole = build.view(node, of, [batch, ...ones, ...sizes]);
  return { of: whole, axis: axis < 0 ? axis : axis + missing, outer };
}

/** Where the batch of all tensors is. Undefined if it is in other axes. */
function commonPlace(
  [first, ...others]: readonly Lifted[],
): BatchPlace | undefined {
  const at = first.axis + 1;
  const isSame = others.every(({ axis, outer, of }) =>
    axis === first.axis && outer === first.outer &&
    (axis < 0 || of.shape[at] === first.of.shape[at])
  );
  return isSame ? first : undefined;
}
