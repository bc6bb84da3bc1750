/**
 * Programs as one JavaScript file each, by esbuild.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import * as esbuild from "npm:esbuild@0.28.2";

/** What goes into a bundle, and what does not. */
export interface BundleOptions {
  /** The program's first module. */
  readonly entry: URL;
  /** Sources that are changed, by what the path of a module ends with. */
  readonly instead?: readonly (readonly [end: RegExp, change: (source: string) => string])[];
  /** Imports that stay imports, by what the path of a module ends with, and from where. */
  readonly beside?: readonly (readonly [end: RegExp, from: (path: string) => string])[];
}

/** Bundles a program, minified; throws what esbuild complains about. */
export async function bundle({ entry, instead = [], beside = [] }: BundleOptions) {
  const kept = new Set<string>();
  const plugin: esbuild.Plugin = {
    name: "instead and beside",
    setup({ onLoad, onResolve }) {
      for (const [filter, change] of instead) {
        onLoad({ filter }, async ({ path }) => {
          const loader = path.endsWith(".ts") ? "ts" : "js";
          return { contents: change(await Deno.readTextFile(path)), loader };
        });
      }
      for (const [filter, from] of beside) {
        onResolve({ filter }, ({ path }) => {
          const name = from(path);
          kept.add(name);
          return { path: name, external: true };
        });
      }
    },
  };
  try {
    const { outputFiles: [{ contents }], metafile } = await esbuild.build({
      entryPoints: [fileURLToPath(entry)],
      bundle: true,
      format: "esm",
      platform: "browser",
      target: "es2022",
      minify: true,
      loader: { ".wasm": "binary", ".safetensors": "binary" },
      plugins: [plugin, await npmPackages(entry)],
      logLevel: "silent",
      write: false,
      metafile: true,
    });
    const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
    const foreign = imports.find(({ path, external }) => external && !kept.has(path));
    if (foreign) throw new Error(`the bundle of ${entry} imports ${foreign.path}`);
    return contents;
  } finally {
    await esbuild.stop();
  }
}

/** Finds what is imported from npm where Deno keeps it. */
async function npmPackages(entry: URL): Promise<esbuild.Plugin> {
  const args = ["info", "--json", fileURLToPath(entry)];
  const cwd = new URL("../", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
  const { npmPackages } = JSON.parse(new TextDecoder().decode(stdout));
  return {
    name: "npm",
    setup({ onResolve, resolve }) {
      onResolve({ filter: /^npm:/ }, async ({ path, kind }) => {
        const [, name, version, rest] = /^npm:(@?[^@]+)@([^/]+)(.*)$/.exec(path) ?? [];
        const found = npmPackages[`${name}@${version}`];
        if (!found) return { errors: [{ text: `${path} is not among what Deno downloaded` }] };
        return await resolve(name + rest, { resolveDir: found.localPath, kind });
      });
    },
  };
}
