/**
 * Bundles a program with esbuild, into one JavaScript file or several.
 *
 * @module
 */

import { basename, dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";
import * as esbuild from "npm:esbuild@0.28.2";
import { withArguments, withoutEffects } from "./removable.ts";

/** Replaces the source of modules whose path matches. */
export type Replacement = readonly [path: RegExp, replace: (source: string) => string];

/** Keeps imports of matching specifiers as imports, with a new specifier. */
export type External = readonly [specifier: RegExp, rename: (specifier: string) => string];

/** Options of {@linkcode bundle}. */
export interface BundleOptions {
  /** The entry module. */
  readonly entry: URL;
  /** Modules whose source is replaced. */
  readonly replacements?: readonly Replacement[];
  /** Imports that are not bundled. */
  readonly externals?: readonly External[];
  /**
   * Modules with a file of their own, by its name. The program imports them when it needs them.
   * What they share with the entry has a file, too, so that every class exists once.
   */
  readonly lazy?: Readonly<Record<string, URL>>;
  /** Other modules that users import, by the names of their files. They share code in the same way. */
  readonly beside?: Readonly<Record<string, URL>>;
  /**
   * For packages, which bundlers bundle again: the files are not minified, and written so that
   * bundlers can remove what a program does not use.
   */
  readonly forBundlers?: boolean;
}

/** esbuild rewrites `using` for older engines, but their classes also need this symbol. */
export const disposeSymbol = 'Symbol.dispose??=Symbol.for("Symbol.dispose");';

/** Bundles a program into one file. Throws if esbuild reports an error. */
export async function bundle(options: BundleOptions): Promise<Uint8Array> {
  const files = await bundleFiles("bundle.js", options);
  return files["bundle.js"];
}

/**
 * Bundles a program into files. Throws if esbuild reports an error.
 *
 * @param name The name of the entry's file, NAME.js. What it shares with lazy modules is
 * NAME.shared.js.
 * @returns The contents of all files by name.
 */
export async function bundleFiles(
  name: string,
  { entry, replacements = [], externals = [], lazy = {}, beside = {}, forBundlers }: BundleOptions,
): Promise<Record<string, Uint8Array>> {
  const renamed = new Set<string>();
  const [lazyPaths, besidePaths] = [lazy, beside].map((modules) =>
    Object.values(modules).map((module) => fileURLToPath(module))
  );
  const plugin: esbuild.Plugin = {
    name: "imports",
    setup({ onLoad, onResolve }) {
      onLoad({ filter: /[/\\]src[/\\].*\.ts$/ }, async ({ path }) => {
        const isLazy = (from: string) => lazyPaths.includes(resolve(dirname(path), from));
        const contents = withStaticImports(await Deno.readTextFile(path), isLazy);
        // so that these modules share all that the entry has: esbuild makes one file of it
        const sharing = lazyPaths.includes(path) || besidePaths.includes(path)
          ? `import ${JSON.stringify(fileURLToPath(entry))};`
          : "";
        return { contents: `${sharing}\n${contents}`, loader: "ts" };
      });
      for (const [filter, rename] of externals) {
        onResolve({ filter }, ({ path }) => {
          const name = rename(path);
          renamed.add(name);
          return { path: name, external: true };
        });
      }
    },
  };
  const stem = (file: string) => file.replace(/\.js$/, "");
  try {
    const { outputFiles, metafile } = await esbuild.build({
      entryPoints: Object.entries({ [name]: entry, ...lazy, ...beside }).map(([file, module]) => {
        return { in: fileURLToPath(module), out: stem(file) };
      }),
      outdir: ".",
      chunkNames: `${stem(name)}.shared`,
      splitting: lazyPaths.length > 0,
      bundle: true,
      format: "esm",
      platform: "browser",
      target: "es2022",
      minify: !forBundlers,
      charset: forBundlers ? "ascii" : "utf8",
      loader: { ".wasm": "binary" },
      banner: { js: disposeSymbol },
      plugins: [replacing(replacements), plugin, npmPackages],
      logLevel: "silent",
      write: false,
      metafile: true,
    });
    const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
    const unexpected = imports.find(({ path, external }) => external && !renamed.has(path));
    if (unexpected) throw new Error(`the bundle of ${entry} still imports ${unexpected.path}`);
    const files = Object.fromEntries(
      outputFiles.map(({ path, contents }) => [basename(path), contents]),
    );
    return forBundlers ? removable(files, `${stem(name)}.shared.js`, Object.keys(lazy)) : files;
  } finally {
    await esbuild.stop();
  }
}

/** Rewrites files so that bundlers can remove what a program does not use. */
function removable(
  files: Readonly<Record<string, Uint8Array>>,
  shared: string,
  lazy: readonly string[],
): Record<string, Uint8Array> {
  const decoder = new TextDecoder(), encoder = new TextEncoder();
  const texts = Object.fromEntries(
    Object.entries(files).map(([name, bytes]) => [name, decoder.decode(bytes)]),
  );
  const changed = lazy.length > 0 ? withArguments(texts, shared, lazy) : texts;
  return Object.fromEntries(
    Object.entries(changed).map(([name, text]) => [name, encoder.encode(withoutEffects(text))]),
  );
}

/**
 * Turns dynamic imports of local modules into static ones, unless they are lazy. In a single file
 * they gain nothing, and they would keep other bundlers from removing unused code.
 */
function withStaticImports(source: string, isLazy: (from: string) => boolean): string {
  const imports = new Set<string>();
  const changed = source.replace(
    /\bconst (\{ \w+(?:, \w+)* \}) = await import\(("\.[^"]+")\);/g,
    (statement, names, from) => {
      if (isLazy(JSON.parse(from))) return statement;
      imports.add(`import ${names} from ${from};`);
      return "";
    },
  );
  return [...imports, changed].join("\n");
}

/** Replaces the source of modules. */
export function replacing(replacements: readonly Replacement[]): esbuild.Plugin {
  return {
    name: "replacements",
    setup({ onLoad }) {
      for (const [filter, replace] of replacements) {
        onLoad({ filter }, async ({ path }) => {
          const loader = path.endsWith(".ts") ? "ts" : "js";
          return { contents: replace(await Deno.readTextFile(path)), loader };
        });
      }
    },
  };
}

/**
 * An import of `FILE.deflate` compresses FILE to a file of its own. Its default export is the path.
 */
export const deflatedFiles: esbuild.Plugin = {
  name: "deflate",
  setup({ onLoad, onResolve }) {
    const suffix = /\.deflate$/, namespace = "deflate";
    onResolve({ filter: suffix }, ({ path }) => ({ path, namespace }));
    onLoad({ filter: suffix, namespace }, async ({ path }) => {
      const contents = deflateSync(await Deno.readFile(path.replace(suffix, "")), { level: 9 });
      return { contents, loader: "file" };
    });
  },
};

/** Resolves npm packages to their folders in Deno's cache, and leaves out what is only for Deno. */
export const npmPackages: esbuild.Plugin = {
  name: "npm",
  setup({ onLoad, onResolve, resolve }) {
    onLoad({ filter: /\bcodecs[/\\]npm_packages\.js$/ }, () => ({ contents: "" }));
    onResolve({ filter: /^npm:/ }, async ({ path, kind }) => {
      const [, name, version, rest] = /^npm:(@?[^@]+)@([^/]+)(.*)$/.exec(path) ?? [];
      const resolveDir = await packageFolder(`${name}@${version}`);
      return await resolve(rest ? `.${rest}` : name, { resolveDir, kind });
    });
  },
};

/** The folder in Deno's cache of a package that users import, `name@version`. */
export async function packageFolder(name: string): Promise<string> {
  const { npmPackages } = await (moduleGraph ??= readModuleGraph());
  if (name in npmPackages) return npmPackages[name].localPath;
  throw new Error(`cli.ts does not import ${name} from npm`);
}

/** Read only once, because it takes Deno half a second. */
let moduleGraph: ReturnType<typeof readModuleGraph> | undefined;

async function readModuleGraph(): Promise<{ npmPackages: Record<string, { localPath: string }> }> {
  const args = ["info", "--json", "cli.ts"], cwd = new URL("../", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Leaves the kernels out of a bundle. The caller passes them. */
export const noKernels: Replacement = [
  /\bgenerated[/\\](relaxed|simd)(_threads)?\.ts$/,
  () => 'export default "";',
];

/** Leaves the binaries of the image codecs out of a bundle. The caller passes them. */
export const noCodecs: Replacement = [
  /\bcodecs[/\\]\w+_wasm\.js$/,
  () =>
    `throw new Error("pass the compiled codec in the option \`codecs\`"); export default undefined;`,
] as const;
