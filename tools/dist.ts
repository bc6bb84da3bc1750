/**
 * Makes what browsers, Node and edge runtimes take, in dist/ or a folder that is named:
 *
 *     deno task dist
 *     deno task dist FOLDER
 *
 * `pembroke.js` is the library with its kernels; those for threads lie beside it and are imported
 * when there can be threads. `pembroke.module.js` has no kernels and takes a `WebAssembly.Module`,
 * `simd.wasm` or `relaxed.wasm`. Fails when they are larger than they may be.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { bundle, noKernels } from "./bundle.ts";
import { declarations } from "./declarations.ts";

/** Bytes that a page may load, compressed: without weights and image codecs. */
const most = 150_000;

const root = new URL("../", import.meta.url);
const generated = new URL("src/backend/wasm/generated/", root);
const folder = pathToFileURL(`${resolve(Deno.args[0] ?? "dist")}/`);
const entry = new URL("mod.ts", root);

/** In a bundle the weights lie beside it. */
const weights = [
  /\bmodels[/\\]bundled\.ts$/,
  (source: string) => source.replace("../../weights/", "./"),
] as const;
/**
 * Kernels as a character for each byte: base64 would hide from gzip what repeats itself in them, and
 * make them a third larger.
 */
const kernelsAsBytes = [
  [
    /\bgenerated[/\\](relaxed|simd)(_threads)?\.ts$/,
    (source: string) => {
      const base64 = /"([^"]+)"/.exec(source)![1];
      return `export default ${JSON.stringify(atob(base64))};`;
    },
  ],
  [
    /\bwasm[/\\]carried\.ts$/,
    () =>
      `export function bytesOf(text: string) {
        const bytes = new Uint8Array(text.length);
        for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
        return bytes;
      }`,
  ],
] as const;
const threadsBeside = [
  /\bgenerated\/\w+_threads\.ts$/,
  (path: string) => path.replace(/.*\/(\w+)_threads\.ts$/, "./pembroke.threads.$1.js"),
] as const;

const builds = {
  "pembroke": { entry, instead: [weights, ...kernelsAsBytes], beside: [threadsBeside] },
  "pembroke.threads.relaxed": {
    entry: new URL("relaxed_threads.ts", generated),
    instead: kernelsAsBytes,
  },
  "pembroke.threads.simd": {
    entry: new URL("simd_threads.ts", generated),
    instead: kernelsAsBytes,
  },
  "pembroke.module": { entry, instead: [weights, noKernels] },
};

await Deno.mkdir(folder, { recursive: true });
const compressed: Record<string, number> = {};
for (const [name, options] of Object.entries(builds)) {
  const contents = await bundle(options);
  await Deno.writeFile(new URL(`${name}.js`, folder), contents);
  compressed[name] = gzipSync(contents, { level: 9 }).length;
  console.log(`${`${name}.js`.padEnd(28)} ${kB(contents.length)}, ${kB(compressed[name])} gzipped`);
}
const types = await declarations(entry, "./pembroke.js");
for (const name of ["pembroke", "pembroke.module"]) {
  await Deno.writeTextFile(new URL(`${name}.d.ts`, folder), types);
}
for (
  const file of [
    new URL("relaxed.wasm", generated),
    new URL("simd.wasm", generated),
    new URL("weights/alexnet_tiny.safetensors", root),
  ]
) {
  await Deno.copyFile(file, new URL(file.pathname.split("/").at(-1)!, folder));
}

// of the kernels for threads, an engine takes one
const loaded = compressed["pembroke"] +
  Math.max(compressed["pembroke.threads.relaxed"], compressed["pembroke.threads.simd"]);
console.log(`${"what a page loads at most".padEnd(42)} ${kB(loaded)} gzipped`);
if (loaded > most) {
  console.error(`error: a page may load ${kB(most)}`);
  Deno.exit(1);
}

function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1).padStart(6)} kB`;
}
