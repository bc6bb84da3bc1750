/**
 * What a value is, by the name of its class. `instanceof` knows only the classes of its own realm, and
 * bytes may come from another: Jest and Node's `vm` give a program classes of its own.
 *
 * @module
 */

/** The name of a value's class: "Uint8Array", "Promise", "Object". */
export function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** A value's bytes, if it is of a kind that holds bytes. */
export function asBytes(value: unknown): Uint8Array | undefined {
  const kind = kindOf(value);
  if (kind === "Uint8Array") return value as Uint8Array;
  if (kind !== "ArrayBuffer" && kind !== "SharedArrayBuffer") return undefined;
  return new Uint8Array(value as ArrayBufferLike);
}

/** Whether a value is a Blob, or a File. */
export function isBlob(value: unknown): value is Blob {
  return ["Blob", "File"].includes(kindOf(value));
}
