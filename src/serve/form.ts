/**
 * Finds the first file in a form, without a copy of the other parts.
 *
 * @module
 */

import { RequestError } from "./request_error.ts";

/** Maximum bytes of a part's headers. */
const maxHeaderBytes = 16_384;
/** Maximum parts up to the first file. */
const maxParts = 100;

/**
 * Returns the first file of a `multipart/form-data` body (RFC 7578), as a view of the body.
 *
 * @param type The body's content type, which has the boundary.
 * @throws {RequestError} When the form is malformed or has no file.
 */
export function firstFile(body: Uint8Array<ArrayBuffer>, type: string): Uint8Array<ArrayBuffer> {
  const boundary = parametersOf(type).get("boundary");
  if (!boundary || boundary.length > 70) throw malformed();
  const delimiter = new TextEncoder().encode(`\r\n--${boundary}`);
  // The first delimiter has no line break before it, unless there is a preamble.
  const atStart = startsWith(body, 0, delimiter.subarray(2));
  let at = atStart ? delimiter.length - 2 : after(body, 0, delimiter);
  for (let parts = 0;; parts++) {
    if (parts > maxParts) throw new RequestError(400, "the form has too many parts");
    if (startsWith(body, at, dashes)) throw new RequestError(400, "the form has no file");
    while (body[at] === space || body[at] === tab) at++;
    if (!startsWith(body, at, lineBreak)) throw malformed();
    // The line break before the headers may also be the one that ends them.
    const head = body.subarray(at, at + maxHeaderBytes);
    const headLength = indexOf(head, 0, emptyLine);
    if (headLength < 0) throw malformed();
    const start = at + headLength + emptyLine.length;
    // An empty part shares its line break with the headers' last one.
    const end = indexOf(body, start - 2, delimiter);
    if (end < 0) throw malformed();
    const name = fileName(head.subarray(0, headLength));
    // browsers send an input for which no file was chosen as an empty file without a name
    if (name || name === "" && end > start) return body.subarray(start, Math.max(start, end));
    at = end + delimiter.length;
  }
}

const [dashes, lineBreak, emptyLine] = ["--", "\r\n", "\r\n\r\n"].map((text) =>
  new TextEncoder().encode(text)
);
const space = 0x20, tab = 0x09;

/** The file name that a part's headers give it; undefined if it is not a file. */
function fileName(head: Uint8Array): string | undefined {
  const lines = new TextDecoder().decode(head).replace(/\r\n[ \t]+/g, " ").split("\r\n");
  const line = lines.find((line) => /^content-disposition:/i.test(line)) ?? "";
  const parameters = parametersOf(line);
  return parameters.get("filename") || (parameters.get("filename*") ?? parameters.get("filename"));
}

/**
 * The parameters of a header, by names in lower case. Quoted values keep their backslashes. A quote that
 * is missing is at the end.
 */
function parametersOf(header: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  const expression = /;\s*([^\s;="]+)\s*=\s*(?:"((?:\\.|[^"])*)|([^\s;]*))/gs;
  for (const [, name, quoted, token] of header.matchAll(expression)) {
    const key = name.toLowerCase();
    if (!parameters.has(key)) parameters.set(key, quoted ?? token);
  }
  return parameters;
}

function malformed(): RequestError {
  return new RequestError(400, "malformed form data");
}

/** The index after the first occurrence. */
function after(bytes: Uint8Array, from: number, what: Uint8Array): number {
  const at = indexOf(bytes, from, what);
  if (at < 0) throw malformed();
  return at + what.length;
}

function indexOf(bytes: Uint8Array, from: number, what: Uint8Array): number {
  for (let at = from; (at = bytes.indexOf(what[0], at)) >= 0; at++) {
    if (startsWith(bytes, at, what)) return at;
  }
  return -1;
}

function startsWith(bytes: Uint8Array, at: number, what: Uint8Array): boolean {
  for (let i = 0; i < what.length; i++) if (bytes[at + i] !== what[i]) return false;
  return true;
}
