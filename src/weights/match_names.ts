/**
 * Views of a file of weights under other names.
 *
 * @module
 */

import { sharedPrefix } from "./names.ts";
import type { WeightsFile } from "./tensor_file.ts";

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
