/**
 * Removes the prefixes that training tools add to the names of weights.
 *
 * @module
 */

/**
 * Usual prefixes: of Lightning, of `torch.compile()` (`_orig_mod`), and of `DataParallel` or
 * `AveragedModel` (`module`). At most eight of them in a row are removed.
 */
const prefixes = /^((model|net|network|backbone|_orig_mod|module)\.){0,8}/;

/** The most parts in front of the name of an average: `ema_model`, and prefixes before and after it. */
const maxAddedParts = 17;

/**
 * What tools add inside a name when they wrap a single layer: `torch.compile()` anywhere, and
 * `DataParallel` around the features of AlexNet and VGG, as in PyTorch's example for ImageNet.
 */
const wrappedLayer = /(?<=\.)_orig_mod\.|(?<=^features\.)module\./g;

/** Weights of losses and metrics, saved beside a network, such as `criterion.weight`. */
const measure = /^(criterion|(\w+_)?(loss|loss_fn|losses|metrics))\./;

/** Averages of a network's weights that are saved beside it, such as `ema_model.fc.bias`. */
const average = /^(ema|ema_model|model_ema)\./;

/**
 * Removes the prefixes that all weights of a file share, in any combination, such as
 * `module._orig_mod.`. If only losses, metrics and averages lack them, these are left out: of
 * `model.conv1.weight` and `criterion.weight`, only `conv1.weight` remains. A file keeps all its
 * names if two of them would become the same.
 *
 * @param tensors The tensors by name.
 * @param isWeight Whether a tensor has weights. Others, such as `n_averaged` of an averaged model,
 * need not have the prefixes.
 * @returns The short names by the full names, in the order of the tensors.
 */
export function shortNames<T>(
  tensors: ReadonlyMap<string, T>,
  isWeight: (tensor: T) => boolean,
): ReadonlyMap<string, string> {
  const full = [...tensors.keys()], weights = full.filter((name) => isWeight(tensors.get(name)!));
  const shared = sharedPrefix(weights),
    isAverage = (name: string) => average.test(name.slice(shared.length));
  const isBeside = (name: string) => isAverage(name) || measure.test(name.slice(shared.length));
  const own = weights.filter((name) => !isBeside(name)), ownPrefix = sharedPrefix(own);
  const isNested = ownPrefix.length > shared.length && ownPrefix.startsWith(shared) &&
    areCopies(weights.filter(isAverage), own.map((name) => name.slice(ownPrefix.length)));
  const prefix = isNested ? ownPrefix : shared;
  const short = new Map((isNested ? full.filter((name) => !isBeside(name)) : full).map((name) => [
    name,
    (name.startsWith(prefix) ? name.slice(prefix.length) : name).replace(wrappedLayer, ""),
  ]));
  return new Set(short.values()).size === short.size
    ? short
    : new Map(full.map((name) => [name, name]));
}

/** Whether every average ends with the name of a weight. If not, `ema` may be a layer's name. */
function areCopies(averages: readonly string[], own: readonly string[]): boolean {
  const known = new Set(own);
  return averages.every((name) => {
    for (let part = 0; part < maxAddedParts && !known.has(name); part++) {
      name = name.slice(name.indexOf(".") + 1);
    }
    return known.has(name);
  });
}

/** The longest sequence of prefixes that all names start with. Each has something after it. */
export function sharedPrefix(names: readonly string[]): string {
  let shared = prefixes.exec(names[0] ?? "")![0];
  while (shared && !names.every((name) => name.startsWith(shared) && name !== shared)) {
    shared = shared.replace(/\w+\.$/, "");
  }
  return shared;
}
