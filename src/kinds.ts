/**
 * Type checks by class name. `instanceof` fails for objects from another realm, which Jest and
 * Node's `vm` create.
 *
 * @module
 */

/** The name of a value's built-in class, such as "Uint8Array", "Promise" or "Object". */
export function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** The bytes of a Uint8Array, ArrayBuffer or SharedArrayBuffer; undefined for other values. */
export function asBytes(value: unknown): Uint8Array | undefined {
  const kind = kindOf(value);
  if (kind === "Uint8Array") return value as Uint8Array;
  if (kind !== "ArrayBuffer" && kind !== "SharedArrayBuffer") return undefined;
  return new Uint8Array(value as ArrayBufferLike);
}

/** Whether a value is a Blob or a File. */
export function isBlob(value: unknown): value is Blob {
  return ["Blob", "File"].includes(kindOf(value));
}
