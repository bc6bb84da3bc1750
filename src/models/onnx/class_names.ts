/**
 * Reads the names of classes in the metadata of an ONNX file.
 *
 * @module
 */

import { escapeText } from "../../weights/io/quote.ts";
import type { ClassName } from "../imagenet_classes.ts";

/** The keys under which tools store the names. `names` is that of Ultralytics. */
const keys = [
  "names",
  "classes",
  "class_names",
  "class_labels",
  "labels",
  "id2label",
  "categories",
];

/** The most characters that are parsed, of all keys together: the names of 20 000 classes take 700 000. */
const maxLength = 1 << 20;

/**
 * Finds a name for each class.
 *
 * @returns The names, or undefined if there are none, or another number of them.
 */
export function readClassNames(
  metadata: ReadonlyMap<string, string>,
  numClasses: number,
): ClassName[] | undefined {
  let left = maxLength;
  for (const key of keys) {
    const text = metadata.get(key);
    if (text === undefined || text.length > left) continue;
    left -= text.length;
    const names = parseNames(text.trim());
    if (names?.length !== numClasses || names.some((name) => name.trim() === "")) continue;
    return names.map((name) => ({ wnid: "", label: escapeText(name.trim()) }));
  }
}

/** A string in quotes, a number, or a mark, of JSON or Python. */
const token = /\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\d+)|([[\]{}():,]))/sy;

/**
 * Parses a list of names, or a dictionary from indices to names, in JSON or as Python writes it; or
 * names on lines, or with commas between them.
 */
function parseNames(text: string): string[] | undefined {
  if (!/^[[({]/.test(text)) {
    const lines = text.split(/\r?\n/);
    return lines.length > 1 ? lines : text.split(",");
  }
  // Marks are single characters; names keep their quote, so that "," is no comma.
  const tokens: string[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (!match) return undefined;
    const [, double, single, digits, mark] = match, name = double ?? single;
    tokens.push(name === undefined ? digits ?? mark : `"${unescape(name)}`);
  }
  const isDictionary = tokens[0] === "{", names: string[] = [];
  const end = tokens.length - 1;
  if (tokens[end] !== (isDictionary ? "}" : tokens[0] === "[" ? "]" : ")")) return undefined;
  const step = isDictionary ? 4 : 2;
  for (let i = 1; i < end; i += step) {
    const [key, colon] = isDictionary ? tokens.slice(i, i + 2) : [String(names.length), ":"];
    const name = tokens[i + step - 2], separator = tokens[i + step - 1];
    const index = Number(key?.replace('"', ""));
    const isValid = colon === ":" && name?.startsWith('"') && index === names.length &&
      (separator === "," || i + step > end);
    if (!isValid) return undefined;
    names.push(name.slice(1));
  }
  return names;
}

/** Replaces the escapes that JSON and Python share. */
function unescape(text: string): string {
  return text.replace(
    /\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))/gs,
    (_, unit: string | undefined, byte: string | undefined, char: string) =>
      unit || byte
        ? String.fromCharCode(parseInt(unit ?? byte!, 16))
        : { n: "\n", t: "\t", r: "\r" }[char] ?? char,
  );
}
