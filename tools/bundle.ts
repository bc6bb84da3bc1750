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
  /** For other bundlers, which minify it themselves and leave out what is not used. */
  readonly readable?: boolean;
}

/** `using` is rewritten for engines without it, which lack the symbol that classes need for it. */
const disposeSymbol = 'Symbol.dispose??=Symbol.for("Symbol.dispose");';

/** Bundles a program; throws what esbuild complains about. */
export async function bundle({ entry, instead = [], beside = [], readable }: BundleOptions) {
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
      onLoad({ filter: /[/\\]src[/\\].*\.ts$/ }, async ({ path }) => {
        return { contents: withoutWaiting(await Deno.readTextFile(path)), loader: "ts" };
      });
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
      minify: !readable,
      charset: readable ? "ascii" : "utf8",
      loader: { ".wasm": "binary" },
      banner: { js: disposeSymbol },
      plugins: [plugin, npmPackages],
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

/**
 * What one file holds need not be waited for: such imports would only keep bundlers from leaving out
 * what nobody uses.
 */
function withoutWaiting(source: string): string {
  const imports = new Set<string>();
  const changed = source.replace(
    /\bconst (\{ \w+ \}) = await import\(("\.[^"]+")\);/g,
    (_, names, from) => {
      imports.add(`import ${names} from ${from};`);
      return "";
    },
  );
  return [...imports, changed].join("\n");
}

/** Finds what users import from npm where Deno keeps it. */
const npmPackages: esbuild.Plugin = {
  name: "npm",
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^npm:/ }, async ({ path, kind }) => {
      const [, name, version, rest] = /^npm:(@?[^@]+)@([^/]+)(.*)$/.exec(path) ?? [];
      const resolveDir = await packageFolder(`${name}@${version}`);
      return await resolve(rest ? `.${rest}` : name, { resolveDir, kind });
    });
  },
};

/** Where Deno keeps a package that users import, `name@version`. */
export async function packageFolder(name: string): Promise<string> {
  const { npmPackages } = await graph();
  if (name in npmPackages) return npmPackages[name].localPath;
  throw new Error(`${name} is not among what cli.ts imports from npm`);
}

/** Asked for once: Deno takes half a second. */
let asked: ReturnType<typeof askGraph> | undefined;

/** What Deno knows of all that users can import. */
function graph() {
  return asked ??= askGraph();
}

async function askGraph(): Promise<{ npmPackages: Record<string, { localPath: string }> }> {
  const args = ["info", "--json", "cli.ts"], cwd = new URL("../", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Leaves the kernels out of a bundle: the caller brings them. */
export const noKernels = [
  /\bgenerated[/\\](relaxed|simd)(_threads)?\.ts$/,
  () => 'export default "";',
] as const;

/** Leaves the binaries of the image codecs out of a bundle: the caller brings them, too. */
export const noCodecs = [
  /\bcodecs[/\\]\w+_wasm\.js$/,
  () =>
    `throw new Error("pass the compiled codec in the option \`codecs\`"); export default undefined;`,
] as const;
