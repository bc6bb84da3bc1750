/**
 * Runs the examples in the documentation. `deno test --doc` runs them, too, but starts a file for
 * each, which takes longer than the examples.
 */

import { assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);

/** Where examples are: pages, and the comments of modules. */
const places = ["README.md", "docs", "mod.ts", "src", "examples", "weights"];

function* textFiles(path: string): Generator<string> {
  if (/\.(md|ts)$/.test(path)) yield path;
  if (!Deno.statSync(new URL(path, root)).isDirectory) return;
  for (const { name } of Deno.readDirSync(new URL(path, root))) yield* textFiles(`${path}/${name}`);
}

/** The code of the examples in a file, by their first line. Those marked `ignore` do not run. */
function examplesIn(text: string): [line: number, code: string][] {
  return Array.from(
    text.matchAll(/^( *(?:\* )?)```ts\n(.*?)^\1```$/gms),
    ({ index, 1: margin, 2: code }) => {
      const line = text.slice(0, index).split("\n").length + 1;
      const lines = code.split("\n").map((text) => text.slice(margin.length));
      return [line, lines.join("\n")];
    },
  );
}

/** The URL of an example as a module whose errors have the lines of its file. */
function moduleOf(code: string, line: number, file: URL): string {
  const absolute = code.replace(
    /(\bfrom |\bimport\()"(\.[^"]+)"/g,
    (_, before, path) => `${before}"${new URL(path, file)}"`,
  );
  const source = "\n".repeat(line - 1) + absolute;
  return URL.createObjectURL(new Blob([source], { type: "application/typescript" }));
}

for (const path of places.flatMap((path) => [...textFiles(path)])) {
  const file = new URL(path, root), text = Deno.readTextFileSync(file), examples = examplesIn(text);
  assertEquals(examples.length, text.match(/```ts$/gm)?.length ?? 0, `examples in ${path}`);
  for (const [line, code] of examples) {
    Deno.test(`${path}:${line}`, async () => void await import(moduleOf(code, line, file)));
  }
}
