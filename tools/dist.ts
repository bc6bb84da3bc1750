/**
 * Builds the library for browsers, Node and edge runtimes, in dist/ or in the given folder:
 *
 *     deno task dist
 *     deno task dist FOLDER
 *
 * - `pembroke.js`: the library with its kernels. It imports the files for threads and image codecs next
 *   to it when they are needed.
 * - `pembroke.module.js`: the library without binaries. It takes the kernels (`simd.wasm` or
 *   `relaxed.wasm`) and the codecs as `WebAssembly.Module`s.
 * - `npm/`: the npm package.
 * - `pembroke-VERSION.tgz`: the packed npm package, if npm is installed.
 *
 * Fails if the size limit is exceeded.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { binaries, entry, entryBundles, lazyBundles, licences, weightsFile } from "./builds.ts";
import { bundle } from "./bundle.ts";
import { declarations } from "./declarations.ts";
import { npmPackage } from "./npm/package.ts";

/** The size limit for a page: compressed bytes, without weights and image codecs. */
const maxBytes = 150_000;

const folder = pathToFileURL(`${resolve(Deno.args[0] ?? "dist")}/`);
await Deno.mkdir(folder, { recursive: true });

const compressed: Record<string, number> = {};
for (const [name, options] of Object.entries({ ...entryBundles, ...lazyBundles })) {
  const contents = await bundle(options);
  await Deno.writeFile(new URL(name, folder), contents);
  compressed[name] = gzipSync(contents, { level: 9 }).length;
  console.log(`${name.padEnd(28)} ${kB(contents.length)}, ${kB(compressed[name])} gzipped`);
}
const types = await declarations(entry, "./pembroke.js");
for (const name of ["pembroke", "pembroke.module"]) {
  await Deno.writeTextFile(new URL(`${name}.d.ts`, folder), types);
}
const copied = { ...binaries, ...licences, "alexnet_tiny.safetensors": weightsFile };
for (const [name, from] of Object.entries(copied)) {
  await Deno.copyFile(from, new URL(name, folder));
}

// Node before 20.19 treats .js files as CommonJS without this.
await Deno.writeTextFile(new URL("package.json", folder), '{ "type": "module" }\n');

const packed = await npmPackage(new URL("npm/", folder), folder, types);
if (packed) {
  const { size } = await Deno.stat(packed);
  console.log(`${packed.pathname.replace(/.*\//, "").padEnd(28)} ${kB(size)}`);
} else {
  console.log("npm/                         not packed: npm is not installed");
}

// An engine loads only one of the threaded kernels.
const threads = ["relaxed", "simd"].map((name) => compressed[`pembroke.threads.${name}.js`]);
const loaded = compressed["pembroke.js"] + Math.max(...threads);
console.log(`${"largest download of a page".padEnd(42)} ${kB(loaded)} gzipped`);
if (loaded > maxBytes) {
  console.error(
    `error: the largest download of a page exceeds the limit of ${kB(maxBytes).trim()}`,
  );
  Deno.exit(1);
}

function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1).padStart(6)} kB`;
}
