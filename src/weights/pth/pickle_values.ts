/**
 * The values that a pickle can hold.
 *
 * @module
 */

/** A Python tuple. */
export class Tuple {
  constructor(readonly items: readonly Value[]) {}
}

/** A Python list. */
export class List {
  #items: Value[] | undefined;

  /** The items in order. */
  get items(): Value[] {
    return this.#items ??= []; // created lazily: a malicious pickle may have millions of lists
  }
}

/** A Python dict, ordered or plain. */
export class Dict {
  #map: Map<Value, Value> | undefined;

  /** The items in order. In a Map, `__proto__` is an ordinary key. */
  get map(): Map<Value, Value> {
    return this.#map ??= new Map(); // created lazily: most dicts in a state dict stay empty
  }
}

/** The name of a Python class or function. */
export class Global {
  constructor(readonly name: string) {}
}

/** A value in a pickle. An `object` was created by the host, or is one of the classes above. */
export type Value = null | boolean | number | bigint | string | Uint8Array | object;
