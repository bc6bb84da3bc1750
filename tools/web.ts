/**
 * Builds the pages of examples/web as one folder for any static server, in dist/web/ or in the
 * given folder:
 *
 *     deno task web
 *     deno task web FOLDER
 *     deno task web FOLDER --model "SqueezeNet 1.1=squeezenet1_1.safetensors" --model NAME=FILE …
 *
 * A page is a folder with an `index.html` and, if it computes, a `main.ts` and a `worker.ts`. They
 * become `main.js`, `worker.js` and chunks that they load when they need them, with the parts of
 * the library that the page uses. All pages share `style.css` and `page.ts`. Styles are minified,
 * pages lose their indentation, and other files are copied. Scripts and styles are loaded with a
 * hash in their URLs, so all of a page is of one version. `service_worker.ts` gets the list of
 * files, and pages that of the networks: the bundled one, and those of `--model`.
 *
 * Fails if a page is too large.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { basename, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import * as esbuild from "npm:esbuild@0.28.2";
import { entry, pageReplacements, root, weightsFile } from "./builds.ts";
import {
  deflatedFiles,
  disposeSymbol,
  npmPackages,
  type Replacement,
  replacing,
} from "./bundle.ts";

/** The limit for all that a page loads before it computes, uncompressed. */
const maxBytes = 300_000;

/** Ends the program because of a wrong argument. */
function refuse(message: string): never {
  console.error(`error: ${message}`);
  Deno.exit(2);
}

function parsedArguments() {
  try {
    return parseArgs({
      args: Deno.args,
      options: { model: { type: "string", multiple: true, default: [] } },
      allowPositionals: true,
    });
  } catch (error) {
    return refuse((error as Error).message.replace(/\. .*/, ""));
  }
}

const { values: { model: models }, positionals: [target = "dist/web"] } = parsedArguments();
const pages = new URL("examples/web/", root);
const folder = pathToFileURL(`${resolve(target)}/`);

/** A file of weights that pages can load. */
interface Network {
  readonly name: string;
  readonly file: string;
  /** Relative to that of the folder. */
  readonly url: string;
  readonly bytes: number;
  readonly hash: string;
}

const networks = await Promise.all(
  [`ResNet tiny=${fileURLToPath(weightsFile)}`, ...models].map(networkOf),
);

/** The network of an option `--model`. */
async function networkOf(model: string): Promise<Network> {
  const [, name, file] = /^(.+?)=(.+)$/.exec(model) ?? [];
  const stat = file === undefined ? undefined : await Deno.stat(file).catch(() => undefined);
  if (!stat?.isFile) return refuse(`--model ${model}: must be NAME=FILE, with a file of weights`);
  const hash = await hashOf(file);
  // so that browsers keep a large file with other pages, and never take an old one for a new one
  const url = `networks/${hash}/${encodeURIComponent(basename(file))}`;
  return { name, file, url, bytes: stat.size, hash };
}

/** A short hash of a file. */
async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of (await Deno.open(file)).readable) hash.update(chunk);
  return short(hash);
}

function short(hash: Hash): string {
  return hash.digest("hex").slice(0, 12);
}

/** All files of the result, by path. */
const files: Record<string, Uint8Array> = {};

/** The chunks that a script needs at once, and the files of kernels, by the script's path. */
const chunks: Record<string, string[]> = {}, kernels: Record<string, string[]> = {};

/** The files below a folder, by path relative to it. */
function* filesIn(folder: URL, below = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(`./${below}`, folder))) {
    if (isDirectory) yield* filesIn(folder, `${below}${name}/`);
    else yield below + name;
  }
}

/** The modules that `mod.ts` has its names from. */
const modules = new Map<string, URL>();
const exportLists = /^export (?:type )?\{([^}]+)\} from "(.+)";$/gm;
for (const [, list, from] of (await Deno.readTextFile(entry)).matchAll(exportLists)) {
  for (const name of list.match(/\w+/g)!) modules.set(name, new URL(from, entry));
}

/**
 * Imports from the modules behind `mod.ts`. Through `mod.ts`, a page would load at once what only a
 * part of it needs that is loaded later.
 */
const directImports: Replacement = [
  /\bexamples[/\\]web[/\\].+\.ts$/,
  (source) =>
    source.replace(
      /^import (type )?\{([^}]+)\} from "(?:\.\.\/)+mod\.ts";$/gm,
      (_, type = "", list: string) =>
        Array.from(list.matchAll(/(?:type )?(\w+)(?: as \w+)?/g), ([item, name]) =>
          `import ${type}{ ${item} } from "${modules.get(name)}";`).join("\n"),
    ),
];

/** A style sheet without comments and white space. */
async function minifiedStyle(bytes: Uint8Array): Promise<Uint8Array> {
  const { code } = await esbuild.transform(bytes, { loader: "css", minify: true });
  return new TextEncoder().encode(code);
}

/** A page without the white space at the start of lines. */
function withoutIndentation(bytes: Uint8Array): Uint8Array {
  return new TextEncoder().encode(new TextDecoder().decode(bytes).replace(/\n\s+/g, "\n"));
}

/** Marks the library's modules as free of side effects, so that a page gets only what it uses. */
const treeShaking: esbuild.Plugin = {
  name: "tree shaking",
  setup({ onResolve }) {
    const isLibrary = (path: string) =>
      path === fileURLToPath(entry) || path.startsWith(fileURLToPath(new URL("src/", root)));
    onResolve({ filter: /^(\.\.?\/|file:).*\.ts$/ }, ({ path, importer }) => {
      const file = fileURLToPath(new URL(path, pathToFileURL(importer)));
      return { path: file, sideEffects: !isLibrary(file) };
    });
  },
};

const options = {
  outdir: ".",
  bundle: true,
  minify: true,
  charset: "utf8",
  target: "es2022",
  logLevel: "silent",
  write: false,
  metafile: true,
} as const;

/** Drops the banner from a script that does not use the symbol otherwise, as most chunks. */
function withoutIdleBanner({ contents, text }: esbuild.OutputFile): Uint8Array {
  const isUsed = text.includes("Symbol.dispose", disposeSymbol.length);
  return isUsed ? contents : contents.subarray(`${disposeSymbol}\n`.length);
}

/** Bundles a script, and adds its files. */
async function addScript(source: string): Promise<void> {
  const script = source.replace(/\.ts$/, ".js");
  const { metafile: { outputs }, outputFiles } = await esbuild.build({
    ...options,
    entryPoints: [{ in: fileURLToPath(new URL(source, pages)), out: source.replace(/\.ts$/, "") }],
    chunkNames: source.replace(/\w+\.ts$/, "[name]-[hash]"),
    assetNames: source.replace(/\w+\.ts$/, "[name]-[hash]"),
    splitting: true,
    format: "esm",
    define: {
      NETWORKS: JSON.stringify(networks.map(({ name, url, bytes }) => ({ name, url, bytes }))),
    },
    banner: { js: disposeSymbol },
    plugins: [
      replacing([directImports, ...pageReplacements]),
      treeShaking,
      deflatedFiles,
      npmPackages,
    ],
  });
  for (const file of outputFiles) {
    const path = relative(Deno.cwd(), file.path).replaceAll("\\", "/");
    files[path] = path.endsWith(".js") ? withoutIdleBanner(file) : file.contents;
  }
  const needed = (path: string): string[] =>
    outputs[path].imports.flatMap(({ path, kind }) =>
      kind === "import-statement" ? [path, ...needed(path)] : []
    );
  chunks[script] = needed(script);
  kernels[script] = Object.keys(outputs)
    .filter((path) => /\/generated\/\w+\.ts$/.test(outputs[path].entryPoint ?? ""))
    .flatMap((path) => outputs[path].imports.filter(({ kind }) => kind === "file-loader"))
    .map(({ path }) => path);
}

const sources = [...filesIn(pages)].sort();
for (const source of sources) {
  const name = basename(source);
  const bytes = await Deno.readFile(new URL(source, pages));
  if (name.endsWith(".css")) files[source] = await minifiedStyle(bytes);
  else if (name.endsWith(".html")) files[source] = withoutIndentation(bytes);
  else if (!name.endsWith(".ts")) files[source] = bytes;
  else if (["page.ts", "main.ts", "worker.ts"].includes(name)) await addScript(source);
}

// so that the browser need not read one script to find the next
for (const [script, needed] of Object.entries(chunks)) {
  const page = script.replace(/[^/]+$/, "index.html"), html = files[page];
  if (!html || !script.endsWith("main.js")) continue;
  const links = needed.map((path) =>
    `<link rel="modulepreload" href="${path.slice(script.lastIndexOf("/") + 1)}">`
  );
  const text = new TextDecoder().decode(html).replace("</head>", `${links.join("")}</head>`);
  files[page] = new TextEncoder().encode(text);
}

/**
 * The path of a file, with a hash if its name has none and pages load it as a script or a style.
 */
function hashed(path: string): string {
  const isNamed = /(^|\/)(page|main|worker)\.js$|\.css$/.test(path);
  return isNamed ? `${path}?${short(createHash("sha256").update(files[path]))}` : path;
}

// scripts before pages: these have the hashes of those
for (
  const path of Object.keys(files).filter((path) => /(main\.js|\.html)$/.test(path)).sort()
    .reverse()
) {
  const text = new TextDecoder().decode(files[path]).replace(
    /"([\w./-]+\.(?:js|css))"/g,
    (quoted, to) => {
      const file = new URL(to, `http://host/${path}`).pathname.slice(1);
      return file in files ? `"${to}${hashed(file).slice(file.length)}"` : quoted;
    },
  );
  files[path] = new TextEncoder().encode(text);
}

// A first visit stores all pages with what they need at once, and the rest when a page has used it:
// a browser loads one of four files of kernels.
const first = sources.filter((path) => path in files).concat(
  Object.entries(chunks).flatMap(([script, needed]) => [script, ...needed]),
);
const later = Object.keys(files).filter((path) => !first.includes(path));
const version = createHash("sha256");
for (const path of Object.keys(files).sort()) version.update(`${path}\n`).update(files[path]);
for (const { url, hash } of networks) version.update(`${url} ${hash}\n`);

/** The bytes of files, by their paths with hashes. */
const sizesOf = (paths: Iterable<string>) =>
  Array.from(new Set(paths), (path) => [hashed(path), files[path].length] as const);
const networkSizes = networks.map(({ url, bytes }) => [url, bytes] as const);
const asJson = (sizes: (readonly [string, number])[]) =>
  JSON.stringify(Object.fromEntries(sizes.sort()));

const worker = await esbuild.build({
  ...options,
  entryPoints: [fileURLToPath(new URL("service_worker.ts", pages))],
  format: "iife",
  define: {
    VERSION: JSON.stringify(short(version)),
    FILES: asJson(sizesOf(first)),
    LATER: asJson([...sizesOf(later), ...networkSizes]),
  },
});
files["service_worker.js"] = worker.outputFiles[0].contents;
await esbuild.stop();

for (const [path, contents] of Object.entries(files)) {
  const to = new URL(path, folder);
  await Deno.mkdir(new URL("./", to), { recursive: true });
  await Deno.writeFile(to, contents);
}
for (const { file, url } of networks) {
  const to = new URL(url, folder);
  await Deno.mkdir(new URL("./", to), { recursive: true });
  await Deno.copyFile(file, to);
}
for (const page of Object.keys(files).filter((path) => /(^|\/)index\.html$/.test(path))) {
  const bytes = pageSize(page);
  console.log(`${page.padEnd(28)} ${(bytes / 1000).toFixed(1).padStart(6)} kB before weights`);
  if (bytes <= maxBytes) continue;
  console.error(`error: ${page} exceeds the limit of ${maxBytes / 1000} kB`);
  Deno.exitCode = 1;
}

/** Bytes of a page with its styles, scripts, worker and, if it computes, the largest kernels. */
function pageSize(page: string): number {
  const html = new TextDecoder().decode(files[page]);
  const linked = [...html.matchAll(/<(?:script|link)[^>]* (?:src|href)="([^":]+)"/g)]
    .map(([, path]) => new URL(path, new URL(page, "http://host/")).pathname.slice(1));
  const worker = page.replace("index.html", "worker.js");
  const scripts = worker in files ? [...linked, worker] : linked;
  const used = new Set([page, ...scripts.flatMap((file) => [file, ...chunks[file] ?? []])]);
  const largest = scripts.flatMap((file) => kernels[file] ?? [])
    .reduce((largest, file) => Math.max(largest, files[file].length), 0);
  return [...used].reduce((sum, path) => sum + files[path].length, largest);
}
