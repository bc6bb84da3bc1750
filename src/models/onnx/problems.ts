/**
 * Collects what is not supported in a graph, so that one error names it all.
 *
 * @module
 */

import type { FileError } from "../../errors.ts";
import type { OnnxFile } from "../../weights/onnx/reader.ts";
import { describeNodes, titleOf } from "./names.ts";
import { NodeError } from "./node.ts";
import type { Activation } from "./values.ts";

/** An error names so many reasons, so many nodes for each, and has about so many characters. */
const maxReasons = 10, maxNodes = 3, maxLength = 500;

/** Nodes with the same operation and the same problem. */
interface Problem {
  readonly error: NodeError;
  readonly nodes: string[];
  count: number;
}

/** The nodes that no layer computes. */
export class Problems {
  readonly #file: OnnxFile;
  readonly #problems = new Map<string, Problem>();
  readonly #seen = new Set<Activation | FileError>();

  constructor(file: OnnxFile) {
    this.#file = file;
  }

  /** Adds a problem. */
  add(error: NodeError): void {
    const { node, why } = error, key = `${node.op}: ${why}`, known = this.#problems.get(key);
    if (!known) this.#problems.set(key, { error, nodes: [titleOf(node)], count: 1 });
    else {
      known.count++;
      if (known.nodes.length < maxNodes) known.nodes.push(titleOf(node));
    }
  }

  /** Adds the problems of all that an activation is computed from, and returns it. */
  check(output: Activation): Activation {
    for (const stack = [output]; stack.length > 0;) {
      const { error, origin, scaled, clamped } = stack.at(-1)!, x = stack.pop()!;
      if (!error || this.#seen.has(x)) continue;
      this.#seen.add(x);
      const before = [scaled, clamped].flatMap((change) => change?.of ?? []);
      const inputs = [...origin?.inputs ?? [], ...before];
      const causes = inputs.filter((input) => input.error);
      for (const input of causes) stack.push(input);
      if (causes.length > 0 || !(error instanceof NodeError) || this.#seen.has(error)) continue;
      this.#seen.add(error);
      this.add(error);
    }
    return output;
  }

  /** Throws an error that names all problems, if there are any. */
  throwIfAny(): void {
    const problems = [...this.#problems.values()];
    if (problems.length === 0) return;
    const [{ error, count }] = problems;
    if (problems.length === 1 && count === 1) throw error;
    const texts: string[] = [];
    for (const problem of problems) {
      const { error: { node, why }, nodes, count } = problem;
      const text = `${describeNodes(node.op, nodes, count)}: ${why}`,
        length = texts.join("; ").length + text.length;
      if (texts.length === maxReasons || texts.length > 0 && length > maxLength) break;
      texts.push(text);
    }
    const more = problems.slice(texts.length).reduce((sum, { count }) => sum + count, 0);
    throw this.#file.bad(texts.join("; ") + (more > 0 ? `; and ${more} more` : ""));
  }
}
