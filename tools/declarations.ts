/**
 * Bundles the types of a module and its imports into one file, with rollup and TypeScript.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { rollup } from "npm:rollup@4.68.8";
import { dts } from "npm:rollup-plugin-dts@6.5.1";
import ts from "npm:typescript@6.0.3";

/**
 * Returns the text of a `.d.ts` file.
 *
 * @param name The specifier that its examples import.
 */
export async function declarations(entry: URL, name: string): Promise<string> {
  const [{ code, imports }] = await bundleTypes({ entry });
  if (imports.length > 0) throw new Error(`the types import ${imports.join(", ")}`);
  return code.replace(/(\* import .* from )"\.[^"]+"/g, `$1"${name}"`);
}

/**
 * Returns the texts of the `.d.ts` files of several modules by name, and of the file that has all types,
 * `shared`. The modules export some of them.
 *
 * @param name The specifier that their examples import.
 */
export async function sharedDeclarations(
  entries: Readonly<Record<string, URL>>,
  shared: string,
  name: string,
): Promise<Record<string, string>> {
  const chunks = await bundleTypes(entries, shared);
  const others = chunks.flatMap(({ imports }) => imports).filter((file) => file !== `${shared}.js`);
  if (others.length > 0) throw new Error(`the types import ${others.join(", ")}`);
  return Object.fromEntries(chunks.map(({ fileName, code }) => [
    fileName.replace(/\.js$/, ""),
    code.replace(/(\* import .* from )"\.[^"]+"/g, `$1"${name}"`),
  ]));
}

/** Bundles types into a file for each module, and one more if they share it. */
async function bundleTypes(entries: Readonly<Record<string, URL>>, shared?: string) {
  const types = dts({
    compilerOptions: {
      strict: true,
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      lib: ["lib.esnext.d.ts", "lib.dom.d.ts"],
      types: [],
      allowImportingTsExtensions: true,
    },
  });
  const input: Record<string, string> = {};
  for (const name in entries) input[name] = fileURLToPath(entries[name]);
  const bundle = await rollup({ input, plugins: [types], external: /^npm:/ });
  const { output } = await bundle.generate({
    format: "es",
    entryFileNames: "[name].js",
    chunkFileNames: "[name].js",
    minifyInternalExports: false,
    manualChunks: (path) => Object.values(input).includes(path) ? undefined : shared,
  });
  await bundle.close();
  return output.flatMap((file) => file.type === "chunk" ? [file] : []);
}
