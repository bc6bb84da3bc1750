/**
 * The prefixes that training tools add to the names of weights.
 *
 * @module
 */

/**
 * Usual ones of Lightning; of `torch.compile()`, and `DataParallel` or `AveragedModel`. More of them in a
 * row are not removed.
 */
const prefixes = /^((model|net|network|backbone|_orig_mod|module)\.){0,8}/;

/**
 * What `torch.compile()` adds to the names of a compiled layer, anywhere in a name, and `DataParallel`
 * of the features of AlexNet and VGG, as in PyTorch's example for ImageNet.
 */
const wrappedLayer = /(?<=\.)_orig_mod\.|(?<=^features\.)module\./g;

/**
 * Removes the prefixes that all weights of a file share, in any combination, such as
 * `module._orig_mod.`. A file that would then have a name twice keeps its names.
 *
 * @param tensors The tensors by name.
 * @param isWeight Whether a tensor has weights. Others, such as `n_averaged` of an averaged model,
 * need not have the prefixes.
 * @returns The short names in the order of the full names.
 */
export function shortNames<T>(
  tensors: ReadonlyMap<string, T>,
  isWeight: (tensor: T) => boolean,
): string[] {
  const full = [...tensors.keys()];
  const prefix = sharedPrefix(full.filter((name) => isWeight(tensors.get(name)!)));
  const short = full.map((name) =>
    (name.startsWith(prefix) ? name.slice(prefix.length) : name).replace(wrappedLayer, "")
  );
  return new Set(short).size === short.length ? short : full;
}

/** The longest sequence of prefixes that all names start with, followed by something. */
export function sharedPrefix(names: readonly string[]): string {
  let shared = prefixes.exec(names[0] ?? "")![0];
  while (shared && !names.every((name) => name.startsWith(shared) && name !== shared)) {
    shared = shared.replace(/\w+\.$/, "");
  }
  return shared;
}
