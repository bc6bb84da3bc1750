/**
 * Networks whose layers follow each other.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import { Graph } from "./graph.ts";
import type { GraphNode } from "./graph_builder.ts";
import { Layer } from "./layer.ts";

/** Layers in order: a list, an object or a map. Those of a list are named "0", "1", … */
export type Layers =
  | readonly Layer[]
  | Readonly<Record<string, Layer>>
  | ReadonlyMap<string, Layer>;

/** Converts layers that follow each other to nodes of a graph. */
export function nodesOf(type: string, layers: Layers): readonly GraphNode[] {
  const kind = kindOf(layers);
  if (layers instanceof Layer || !["Array", "Map", "Object"].includes(kind)) {
    const expected = "a list of layers, such as [a, b], an object or a map";
    throw new ArgumentError(type, "layers", layers, expected);
  }
  const list = [...kind === "Map" ? layers as ReadonlyMap<string, Layer> : Object.entries(layers)];
  for (const [name, layer] of list) {
    if (layer instanceof Layer) continue;
    throw new ArgumentError(type, `layer "${String(name)}"`, layer, "a Layer");
  }
  return list.map(([name, layer]) => ({ name, layer }));
}

/**
 * A sequence of layers, `torch.nn.Sequential`: a {@linkcode Graph} in which every layer takes the
 * output of the previous one.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from "./mod.ts";
 *
 * using backend = await createBackend();
 * using net = new Sequential([
 *   new Conv2d(1, 4, 3, { padding: 1 }),
 *   new ReLU(),
 *   new MaxPool2d(2),
 *   new Flatten(),
 *   new Linear(4 * 4 * 4, 10),
 * ]).init(backend, { seed: 1 });
 * using x = backend.upload(new Float32Array(64), [1, 1, 8, 8]);
 * using y = net.forward(x);
 * console.log(y.shape); // [1, 10]
 * ```
 */
export class Sequential extends Graph {
  /** The name in `torch.nn`. */
  override readonly type: string = "Sequential";

  /**
   * Creates a sequence.
   *
   * @param layers The layers in order, as a list, an object or a map. Use a map if the names are
   * numbers, because objects sort them.
   * @throws {ArgumentError} When they are no such layers.
   */
  constructor(layers: Layers) {
    super(nodesOf("Sequential", layers));
  }
}
