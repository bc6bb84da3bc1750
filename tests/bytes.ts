/** Joins bytes and text, which becomes UTF-8. */
export function joinBytes(
  parts: readonly (ArrayLike<number> | string)[],
): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const list = parts.map((part) => typeof part === "string" ? encoder.encode(part) : part);
  const joined = new Uint8Array(list.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of list) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
