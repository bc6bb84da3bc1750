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

/** The weights of losses and metrics beside a network, such as `criterion.weight`. */
const measure = /^(criterion|(\w+_)?(loss|loss_fn|losses|metrics))\./;

/** The averages of a network's weights beside it, such as `ema_model.fc.bias`. */
const average = /^(ema|ema_model|model_ema)\./;

/**
 * Removes the prefixes that all weights of a file share, in any combination, such as
 * `module._orig_mod.`. Losses, metrics and averages need not share them, and are left out then:
 * `model.conv1.weight` and `criterion.weight` become `conv1.weight`. A file that would then have a name
 * twice keeps its names.
 *
 * @param tensors The tensors by name.
 * @param isWeight Whether a tensor has weights. Others, such as `n_averaged` of an averaged model,
 * need not have the prefixes.
 * @returns The short names, by the full names and in their order.
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

/** Whether all averages end with names of weights. A layer may be called `ema`, too. */
function areCopies(averages: readonly string[], own: readonly string[]): boolean {
  const known = new Set(own);
  return averages.every((name) =>
    name.split(".").some((_, i, parts) => known.has(parts.slice(i).join(".")))
  );
}

/** The longest sequence of prefixes that all names start with, followed by something. */
export function sharedPrefix(names: readonly string[]): string {
  let shared = prefixes.exec(names[0] ?? "")![0];
  while (shared && !names.every((name) => name.startsWith(shared) && name !== shared)) {
    shared = shared.replace(/\w+\.$/, "");
  }
  return shared;
}
