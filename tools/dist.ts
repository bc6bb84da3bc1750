/**
 * Makes what browsers, Node and edge runtimes take, in dist/ or a folder that is named:
 *
 *     deno task dist
 *     deno task dist FOLDER
 *
 * `pembroke.js` is the library with its kernels. Those for threads lie beside it and are imported
 * when there can be threads, the codecs when the first JPEG or WebP arrives. `pembroke.module.js` has
 * no kernels and takes a `WebAssembly.Module`, `simd.wasm` or `relaxed.wasm`, and compiled codecs.
 * `npm/` is the npm package, and `pembroke-VERSION.tgz` the same as one file, where there is npm.
 * Fails when they are larger than they may be.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { binaries, entry, first, imported, licences, weightsFile } from "./builds.ts";
import { bundle } from "./bundle.ts";
import { declarations } from "./declarations.ts";
import { npmPackage } from "./npm/package.ts";

/** Bytes that a page may load, compressed: without weights and image codecs. */
const most = 150_000;

const folder = pathToFileURL(`${resolve(Deno.args[0] ?? "dist")}/`);
await Deno.mkdir(folder, { recursive: true });

const compressed: Record<string, number> = {};
for (const [name, options] of Object.entries({ ...first, ...imported })) {
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

// Node before 20.19 takes a .js for CommonJS unless it is told otherwise
await Deno.writeTextFile(new URL("package.json", folder), '{ "type": "module" }\n');

const packed = await npmPackage(new URL("npm/", folder), folder, types);
if (packed) {
  const { size } = await Deno.stat(packed);
  console.log(`${packed.pathname.replace(/.*\//, "").padEnd(28)} ${kB(size)}`);
} else {
  console.log("npm/                         not packed: there is no npm");
}

// of the kernels for threads, an engine takes one
const threads = ["relaxed", "simd"].map((name) => compressed[`pembroke.threads.${name}.js`]);
const loaded = compressed["pembroke.js"] + Math.max(...threads);
console.log(`${"what a page loads at most".padEnd(42)} ${kB(loaded)} gzipped`);
if (loaded > most) {
  console.error(`error: a page may load ${kB(most)}`);
  Deno.exit(1);
}

function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1).padStart(6)} kB`;
}
