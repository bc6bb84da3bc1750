/**
 * The values that a pickle can hold.
 *
 * @module
 */

/** A Python tuple. */
export class Tuple {
  constructor(readonly items: readonly Value[]) {}
}

/** The empty tuple. One serves all places. */
export const emptyTuple = new Tuple([]);

/** A Python list. */
export class List {
  #items: Value[] | undefined;

  get isEmpty(): boolean {
    return this.#items === undefined;
  }

  /** The items in order. */
  get items(): Value[] {
    return this.#items ??= []; // created lazily: a malicious pickle may have millions of lists
  }
}

/** A Python dict, ordered or plain. Only items with a key that is text are kept. */
export class Dict {
  #map: Map<string, Value> | undefined;

  get isEmpty(): boolean {
    return this.#map === undefined;
  }

  /** The items in order. In a Map, `__proto__` is an ordinary key. */
  get map(): ReadonlyMap<string, Value> {
    return this.#map ?? noItems;
  }

  /** Sets an item. The map is created only here, because most dicts in a state dict stay empty. */
  set(key: Value, value: Value): void {
    if (typeof key === "string") (this.#map ??= new Map()).set(key, value);
  }
}

const noItems: ReadonlyMap<string, Value> = new Map();

/** A value that takes no part in finding tensors: bytes, a set, a NumPy scalar, a path. */
export class Opaque {
  readonly kind = "opaque";
}

/** The only opaque value. */
export const opaque = new Opaque();

/** The name of a Python class or function. */
export class Global {
  constructor(readonly name: string) {}
}

/** A value in a pickle. An `object` was created by the host, or is one of the classes above. */
export type Value = null | boolean | number | bigint | string | object;

/** The memory that values take in V8, in bytes, including what containers allocate in advance. */
export const cost = {
  number: 16,
  text: 32,
  char: 2,
  tuple: 56,
  list: 48,
  dict: 48,
  item: 8,
  entry: 64,
  firstItem: 160,
  firstEntry: 200,
  object: 64,
} as const;

/** The most characters of a name that costs nothing to compare. Real names have far fewer. */
export const maxNameLength = 1000;

/**
 * What each use of a key counts against the budget, in bytes. A map may compare long keys character
 * by character, and a pickle can use one key any number of times.
 */
export function keyCost(key: Value): number {
  return typeof key === "string" && key.length > maxNameLength ? key.length : 0;
}
