/**
 * Running the plans of forward passes.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";
import type { LeafNode } from "./graph_nodes.ts";
import type { BoundPlan, PlanCache } from "./plan_cache.ts";

/** Runs a plan, and returns the tensors of all values. */
export function run(
  plan: BoundPlan,
  x: Tensor,
  results: ReadonlyMap<number, Tensor>,
): readonly Tensor[] {
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

/** Computes the outputs of some nodes. The first one of views of the same memory owns it. */
export function outputsOf(
  plans: PlanCache,
  nodes: readonly LeafNode[],
  x: Tensor,
  indices: readonly number[],
): Tensor[] {
  const plan = plans.get(nodes, x, new Set(indices));
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
