/**
 * Views of a file of weights: under other names, and without weight normalisation.
 *
 * @module
 */

import { elements } from "../tensor.ts";
import { sharedPrefix } from "./names.ts";
import { isWeight, type WeightsFile } from "./tensor_file.ts";

/**
 * A view of a file under the names that a model expects. It is needed if these start with a usual
 * prefix of training tools: opening the file has removed that. Closing the view closes the file.
 */
export function matchNames(file: WeightsFile, expected: Iterable<string>): WeightsFile {
  const prefix = sharedPrefix([...expected]);
  const names = [...file.entries.keys()];
  if (prefix === "" || names.some((name) => name.startsWith(prefix))) return file;
  return renameTensors(file, (name) => prefix + name);
}

/**
 * A view of a file under other names. Closing the view closes the file.
 *
 * @param rename Returns the new name, or undefined to leave the tensor out.
 */
export function renameTensors(
  file: WeightsFile,
  rename: (name: string) => string | undefined,
): WeightsFile {
  const oldNames = new Map<string, string>();
  for (const name of file.order) {
    const renamed = rename(name);
    if (renamed !== undefined) oldNames.set(renamed, name);
  }
  const entries = [...oldNames].map(([name, old]) =>
    [name, { ...file.entries.get(old)!, name }] as const
  );
  return {
    name: file.name,
    format: file.format,
    metadata: file.metadata,
    entries: new Map(entries),
    order: [...oldNames.keys()],
    read: (name, ...sinks) => file.read(oldNames.get(name) ?? name, ...sinks),
    close: () => file.close(),
    [Symbol.dispose]: () => file.close(),
  };
}

/** The name of the norms that `weight_norm` of `torch.nn.utils`, or of its `parametrizations`, stores. */
const normsName = /(?<=^|\.)(weight_g|parametrizations\.weight\.original0)$/;

/** Values that a view passes on at once. */
const chunkSize = 1 << 16;

/**
 * A view of a PyTorch file with the weights that weight normalisation computes (Salimans and Kingma 2016):
 * g · v / ‖v‖ for each output, in place of the norms g and the directions v. Norms along other axes are
 * left as they are. Closing it closes the file.
 */
export function withoutWeightNorm(file: WeightsFile): WeightsFile {
  const { entries, order, format } = file;
  const parts = new Map<string, readonly [g: string, v: string]>(); // by the name of the weight
  const names = new Map<string, string | undefined>(); // of the view, by those of the file
  for (const g of format === "onnx" ? [] : order.filter((name) => normsName.test(name))) {
    const v = g.replace(/g$/, "v").replace(/0$/, "1"), weight = g.replace(normsName, "weight");
    const directions = entries.get(v), { shape: [count], shape } = entries.get(g)!;
    if (!directions || !isWeight(directions) || entries.has(weight)) continue;
    if (count !== directions.shape[0] || count !== elements(shape)) continue;
    parts.set(weight, [g, v]);
    names.set(g, undefined).set(v, weight);
  }
  if (parts.size === 0) return file;
  const view = renameTensors(file, (name) => names.has(name) ? names.get(name) : name);
  return {
    ...view,
    async read(name, sink, integerSink) {
      const [g, v] = parts.get(name) ?? [];
      if (g === undefined || v === undefined) return await view.read(name, sink, integerSink);
      const norms = await readWhole(file, g), values = await readWhole(file, v);
      const size = values.length / norms.length;
      for (const [i, norm] of norms.entries()) {
        const row = values.subarray(i * size, (i + 1) * size);
        const factor = norm / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
        row.forEach((value, at) => row[at] = value * factor);
      }
      for (let at = 0; at < values.length; at += chunkSize) {
        sink(values.subarray(at, at + chunkSize), at);
      }
    },
  };
}

/** All values of a tensor. */
async function readWhole(file: WeightsFile, name: string): Promise<Float32Array> {
  const values = new Float32Array(elements(file.entries.get(name)!.shape));
  await file.read(name, (chunk, offset) => values.set(chunk, offset));
  return values;
}
