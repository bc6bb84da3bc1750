/**
 * Weights under the names of a model that has prefixes itself.
 *
 * @module
 */

import { sharedPrefix } from "./names.ts";
import type { WeightsFile } from "./tensor_file.ts";

/**
 * A view of a file for a model whose own names start with such prefixes, which were removed from
 * the file's. Closing it closes the file.
 */
export function matchNames(file: WeightsFile, expected: Iterable<string>): WeightsFile {
  const prefix = sharedPrefix([...expected]);
  const names = [...file.entries.keys()];
  if (prefix === "" || names.some((name) => name.startsWith(prefix))) return file;
  return {
    ...{ name: file.name, format: file.format, metadata: file.metadata },
    entries: new Map(
      [...file.entries.values()].map((entry) => {
        const name = prefix + entry.name;
        return [name, { ...entry, name }];
      }),
    ),
    order: file.order.map((name) => prefix + name),
    read: (name, sink) => file.read(name.slice(prefix.length), sink),
    close: () => file.close(),
    [Symbol.dispose]: () => file.close(),
  };
}
