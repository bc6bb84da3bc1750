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
  const input = fileURLToPath(entry);
  const bundle = await rollup({ input, plugins: [types], external: /^npm:/ });
  const { output: [{ code, imports }] } = await bundle.generate({ format: "es" });
  await bundle.close();
  if (imports.length > 0) throw new Error(`the types import ${imports.join(", ")}`);
  return code.replace(/(\* import .* from )"\.[^"]+"/g, `$1"${name}"`);
}
