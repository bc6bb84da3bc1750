/**
 * What a pickle can hold.
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

  /** The items in their order. */
  get items(): Value[] {
    return this.#items ??= []; // an empty list costs little, however many a hostile pickle makes
  }
}

/** A Python dict, ordered or plain. */
export class Dict {
  #map: Map<Value, Value> | undefined;

  /** The items in their order. A Map, in which `__proto__` is a key like any other. */
  get map(): Map<Value, Value> {
    return this.#map ??= new Map(); // most dicts of a state dict stay empty and need none
  }
}

/** A class or function that the pickle names, and nothing more than its name. */
export class Global {
  constructor(readonly name: string) {}
}

/** What a pickle can hold; `object` is whatever the host made. */
export type Value = null | boolean | number | bigint | string | Uint8Array | object;
