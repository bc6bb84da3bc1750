/**
 * Einstein sums of two tensors, as matrix products.
 *
 * @module
 */

import type { FileError } from "../../../errors.ts";
import { elements } from "../../../tensor.ts";
import { escapeText } from "../../../weights/io/quote.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import { type Lifted, lifted, settled } from "../moved.ts";
import type { NodeReader } from "../node.ts";
import type { Activation } from "../values.ts";
import { linear, product } from "./matrix.ts";
import { mapWeight, weightOf } from "./parameters.ts";

/** A tensor, and a letter for each of its axes in the file. */
interface Term {
  readonly x: Lifted;
  readonly letters: string;
}

/** Such as "bhid,bhjd->bhij": letters that the result lacks are summed over. */
export const einsum: Operation = (node, build) => {
  const { terms, result } = readEquation(node);
  const [a, b] = terms.map((letters, i) => {
    const isConstant = node.scope.value(node.node.inputs[i])?.kind === "constant";
    return isConstant ? undefined : term(node, build, i, letters);
  });
  const y = a && b
    ? multiplied(node, build, a, b, result)
    : weighted(node, build, (a ?? b)!, a ? 1 : 0, terms[a ? 1 : 0], result);
  const axes = [...result].map((letter) => y.letters.indexOf(letter));
  const of = build.permute(node, y.x.of, [0, ...axes.map((axis) => axis + 1)]);
  return settled(node, build, { ...y.x, of, axis: axes.indexOf(y.x.axis) }, () => {
    return node.bad("its output does not have the batch as its first axis: not supported");
  });
};

/** Two terms, and perhaps the result. */
const equationForm = /^([a-zA-Z]{0,52}),([a-zA-Z]{0,52})(?:->([a-zA-Z]{0,52}))?$/;

/** Reads the letters of both inputs, and of the output. */
function readEquation(node: NodeReader) {
  const parts = equationForm.exec(node.text("equation", "").replaceAll(" ", ""));
  const terms = parts?.slice(1, 3) ?? [], all = terms.join("");
  const once = [...all].filter((letter) => all.split(letter).length === 2).sort().join("");
  const result = parts?.[3] ?? once;
  const isPlain = [...terms, result].every((term) => new Set(term).size === term.length);
  const isKnown = [...result].every((letter) => all.includes(letter));
  if (parts && node.inputCount === 2 && isPlain && isKnown) return { terms, result };
  throw unsupported(node);
}

function unsupported(node: NodeReader): FileError {
  const equation = escapeText(node.text("equation", ""));
  return node.bad(`its equation ${equation} is not supported, or not for these inputs`);
}

function term(node: NodeReader, build: LayerBuilder, index: number, letters: string): Term {
  const x = lifted(node, build, node.tensor(index));
  if (x.of.shape.length === letters.length + 1) return { x, letters };
  throw unsupported(node);
}

/** The product of two computed tensors, as matrices for each pair of the letters that both and the result have. */
function multiplied(node: NodeReader, build: LayerBuilder, a: Term, b: Term, result: string): Term {
  const both = [...a.letters].filter((letter) => b.letters.includes(letter));
  const lead = both.filter((letter) => result.includes(letter));
  const summed = both.filter((letter) => !result.includes(letter));
  const [left, right] = [a, b].map(({ letters }) =>
    [...letters].filter((letter) => !both.includes(letter))
  );
  const [first, second] = [a, b].map(({ x, letters }) => letters.charAt(x.axis));
  const fits = both.every((letter) => sizeOf(a, letter) === sizeOf(b, letter)) &&
    [...left, ...right].every((letter) => result.includes(letter)) &&
    first === second && a.x.outer === b.x.outer && (first === "" || lead.includes(first));
  if (!fits) throw unsupported(node);
  const sizes = (of: Term, letters: readonly string[]) =>
    letters.map((letter) => sizeOf(of, letter));
  const batch = a.x.of.shape[0], counts = sizes(a, lead);
  const rows = ordered(node, build, a, [...lead, ...left, ...summed]);
  const columns = ordered(node, build, b, [...lead, ...summed, ...right]);
  const k = elements(sizes(a, summed));
  const of = product(node, build, [
    build.view(node, rows, [batch, ...counts, elements(sizes(a, left)), k]),
    build.view(node, columns, [batch, ...counts, k, elements(sizes(b, right))]),
  ]);
  const letters = [...lead, ...left, ...right].join("");
  const shape = [batch, ...counts, ...sizes(a, left), ...sizes(b, right)];
  return {
    letters,
    x: { ...a.x, of: build.view(node, of, shape), axis: letters.indexOf(first || "-") },
  };
}

/** The product of a computed tensor and a constant: a matrix of the letters that are summed over, and of new ones. */
function weighted(
  node: NodeReader,
  build: LayerBuilder,
  a: Term,
  index: number,
  matrix: string,
  result: string,
): Term {
  const stored = weightOf(node, index), all = [...matrix], kept: string[] = [];
  const summed = all.filter((letter) => a.letters.includes(letter));
  const added = all.filter((letter) => !a.letters.includes(letter));
  for (const letter of a.letters) if (!summed.includes(letter)) kept.push(letter);
  const isFirst = matrix.startsWith(summed.join("")), batch = a.letters.charAt(a.x.axis);
  const letters = [...kept, ...added].join("");
  const fits = stored.shape.length === matrix.length && !stored.strides && summed.length > 0 &&
    added.length > 0 &&
    (isFirst || matrix.endsWith(summed.join(""))) && !summed.includes(batch) &&
    summed.every((letter) => sizeOf(a, letter) === stored.shape[matrix.indexOf(letter)]) &&
    letters.length === result.length && [...letters].every((letter) => result.includes(letter));
  if (!fits) throw unsupported(node);
  const depth = elements(summed.map((letter) => sizeOf(a, letter)));
  const sizes = added.map((letter) => stored.shape[matrix.indexOf(letter)]);
  const rows = ordered(node, build, a, [...kept, ...summed]);
  const lead = rows.shape.slice(0, kept.length + 1), width = elements(sizes);
  const shape = isFirst ? [depth, width] : [width, depth];
  const of = linear(node, build, build.view(node, rows, [...lead, depth]), {
    weight: mapWeight({ ...stored, shape }, isFirst ? [1, 0] : [0, 1]),
    isInteger: false,
  });
  const x = {
    ...a.x,
    of: build.view(node, of, [...lead, ...sizes]),
    axis: kept.indexOf(batch || "-"),
  };
  return { letters, x };
}

function sizeOf({ x, letters }: Term, letter: string): number {
  return x.of.shape[letters.indexOf(letter) + 1];
}

/** A tensor with its axes in the order of letters, behind the batch. */
function ordered(
  node: NodeReader,
  build: LayerBuilder,
  { x, letters }: Term,
  order: readonly string[],
): Activation {
  return build.permute(node, x.of, [0, ...order.map((letter) => letters.indexOf(letter) + 1)]);
}
