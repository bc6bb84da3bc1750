/**
 * Builds the library for browsers, Node and edge runtimes, in dist/ or in the given folder:
 *
 *     deno task dist
 *     deno task dist FOLDER
 *
 * - `pembroke.js`: the library. It imports the files next to it when they are needed: kernels for one
 *   thread or several, the WebGPU backend, the reader of ONNX graphs, and image codecs.
 * - `pembroke.module.js`: the library without binaries. It takes the kernels (`simd.wasm` or
 *   `relaxed.wasm`) and the codecs as `WebAssembly.Module`s.
 * - `npm/`: the npm package.
 * - `pembroke-VERSION.tgz`: the packed npm package, if npm is installed.
 *
 * Fails if a page would download too much.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import {
  binaries,
  entry,
  entryBundles,
  lazyBundles,
  licences,
  weightsFile,
  weightsName,
  withoutNetworks,
} from "./builds.ts";
import { bundleFiles } from "./bundle.ts";
import { declarations } from "./declarations.ts";
import { npmPackage } from "./npm_package/package.ts";

/** The limits for a page: compressed bytes, without weights and image codecs. */
const maxBytes = 207_000, maxBytesWithoutNetworks = 155_000;

const folder = pathToFileURL(`${resolve(Deno.args[0] ?? "dist")}/`);
await Deno.mkdir(folder, { recursive: true });

/** The compressed sizes of the files. */
const sizes: Record<string, number> = {};
for (const [name, options] of Object.entries({ ...entryBundles, ...lazyBundles })) {
  for (const [file, contents] of Object.entries(await bundleFiles(name, options))) {
    await Deno.writeFile(new URL(file, folder), contents);
    sizes[file] = compressedSize(contents);
    console.log(`${file.padEnd(28)} ${kB(contents.length)}, ${kB(sizes[file])} gzipped`);
  }
}
const types = await declarations(entry, "./pembroke.js");
for (const name of ["pembroke", "pembroke.module"]) {
  await Deno.writeTextFile(new URL(`${name}.d.ts`, folder), types);
}
const copied = { ...binaries, ...licences, [weightsName]: weightsFile };
for (const [name, from] of Object.entries(copied)) {
  await Deno.copyFile(from, new URL(name, folder));
}

// Node before 20.19 treats .js files as CommonJS without this.
await Deno.writeTextFile(new URL("package.json", folder), '{ "type": "module" }\n');

const packed = await npmPackage(new URL("npm/", folder), folder);
if (packed) {
  const { size } = await Deno.stat(packed);
  console.log(`${packed.pathname.replace(/.*\//, "").padEnd(28)} ${kB(size)}`);
} else {
  console.log("npm/                         not packed: npm is not installed");
}

// A page computes on a GPU, on several threads or on one.
const devices = ["webgpu", "threads.relaxed", "threads.simd", "kernels.relaxed", "kernels.simd"];
const largestDevice = Math.max(...devices.map((name) => sizes[`pembroke.${name}.js`]));
const largest = download(sizes) + sizes["pembroke.onnx.js"];
checkSize("largest download of a page", largest, maxBytes);

const files = Object.entries(await bundleFiles("pembroke.js", withoutNetworks));
const small = Object.fromEntries(files.map(([name, bytes]) => [name, compressedSize(bytes)]));
checkSize("download without networks", download(small), maxBytesWithoutNetworks);

/** The compressed bytes that a page downloads, unless it opens an ONNX file. */
function download(sizes: Readonly<Record<string, number>>): number {
  return sizes["pembroke.js"] + sizes["pembroke.shared.js"] + largestDevice;
}

/** Prints a size, and fails if it exceeds its limit. */
function checkSize(what: string, bytes: number, limit: number): void {
  console.log(`${what.padEnd(42)} ${kB(bytes)} gzipped`);
  if (bytes <= limit) return;
  console.error(`error: the ${what} exceeds the limit of ${kB(limit).trim()}`);
  Deno.exitCode = 1;
}

function compressedSize(contents: Uint8Array): number {
  return gzipSync(contents, { level: 9 }).length;
}

function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1).padStart(6)} kB`;
}
