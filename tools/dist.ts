/**
 * Makes what browsers, Node and edge runtimes take, in dist/ or a folder that is named:
 *
 *     deno task dist
 *     deno task dist FOLDER
 *
 * `pembroke.js` is the library with its kernels. Those for threads lie beside it and are imported
 * when there can be threads, the codecs when the first JPEG or WebP arrives. `pembroke.module.js` has
 * no kernels and takes a `WebAssembly.Module`, `simd.wasm` or `relaxed.wasm`, and compiled codecs.
 * Fails when they are larger than they may be.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { bundle, type BundleOptions, noCodecs, noKernels, packageFolder } from "./bundle.ts";
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

/** A binary as a character for each byte: base64 would hide from gzip what repeats itself in it. */
async function textOf(file: URL | string): Promise<string> {
  return Buffer.from(await Deno.readFile(file)).toString("latin1");
}
const bytesFromText = [
  /\bwasm[/\\]carried\.ts$/,
  () =>
    `export function bytesOf(text) {
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
      return bytes;
    }`,
] as const;

/**
 * The two binaries for one thread are much alike. Pieces of them take turns, for gzip looks no further
 * back than 32 kB.
 */
const pieces = 6;
const [relaxed, simd] = await Promise.all(
  ["relaxed", "simd"].map((name) => textOf(new URL(`${name}.wasm`, generated))),
);
const woven = Array.from({ length: pieces * 2 }, (_, i) => {
  const text = i % 2 === 0 ? relaxed : simd, end = (i >> 1) + 1;
  const at = (n: number) => Math.round(text.length * n / pieces);
  return text.slice(at(end - 1), at(end));
});
const kernels = [
  [
    /\bgenerated[/\\]relaxed\.ts$/,
    () =>
      `export const woven = ${JSON.stringify(woven)};
      export default woven.filter((_, i) => i % 2 === 0).join("");`,
  ],
  [
    /\bgenerated[/\\]simd\.ts$/,
    () =>
      `import { woven } from "./relaxed.ts";
      export default woven.filter((_, i) => i % 2 === 1).join("");`,
  ],
  bytesFromText,
] as const;

// What is imported when it is needed lies in a file of its own.
const threadsBeside = [
  /\bgenerated\/\w+_threads\.ts$/,
  (path: string) => path.replace(/.*\/(\w+)_threads\.ts$/, "./pembroke.threads.$1.js"),
] as const;
const codecsBeside = [
  /^npm:@jsquash\//,
  (path: string) => path.replace(/^npm:@jsquash\/(\w+).*/, "./pembroke.$1.js"),
] as const;
const codecBinariesBeside = [
  /\/\w+_wasm\.js$/,
  (path: string) => path.replace(/.*\/(\w+)_wasm\.js$/, "./pembroke.$1.wasm.js"),
] as const;
const beside = [threadsBeside, codecsBeside, codecBinariesBeside];

/** Kernels for threads. */
async function threads(name: string): Promise<BundleOptions> {
  const text = JSON.stringify(await textOf(new URL(`${name}_threads.wasm`, generated)));
  const entry = new URL(`${name}_threads.ts`, generated);
  return { entry, instead: [[/_threads\.ts$/, () => `export default ${text};`]] };
}

/** A codec's package, and in it what Emscripten made. */
const codecs = {
  jpeg: { name: "@jsquash/jpeg@1.6.0", file: "codec/dec/mozjpeg_dec" },
  webp: { name: "@jsquash/webp@1.5.0", file: "codec/dec/webp_dec" },
};
type CodecName = keyof typeof codecs;

/** Emscripten's script, which must not name a file that bundlers would look for. */
async function codecScript(codec: CodecName): Promise<BundleOptions> {
  const { name, file } = codecs[codec];
  const glue = /new URL\("\w+\.wasm",import\.meta\.url\)\.href/;
  return {
    entry: pathToFileURL(`${await packageFolder(name)}/${file}.js`),
    instead: [[/_dec\.js$/, (source) => source.replace(glue, '""')]],
  };
}

/** A codec's binary, compiled. */
async function codecBinary(codec: CodecName): Promise<BundleOptions> {
  const { name, file } = codecs[codec];
  const text = JSON.stringify(await textOf(`${await packageFolder(name)}/${file}.wasm`));
  return {
    entry: new URL(`src/image/codecs/${codec}_wasm.js`, root),
    instead: [
      [
        /_wasm\.js$/,
        () =>
          `import { bytesOf } from "../../backend/wasm/carried.ts";
          export default new WebAssembly.Module(bytesOf(${text}));`,
      ],
      bytesFromText,
    ],
  };
}

const builds: Record<string, BundleOptions> = {
  "pembroke": { entry, instead: [weights, ...kernels], beside },
  "pembroke.threads.relaxed": await threads("relaxed"),
  "pembroke.threads.simd": await threads("simd"),
  "pembroke.jpeg": await codecScript("jpeg"),
  "pembroke.jpeg.wasm": await codecBinary("jpeg"),
  "pembroke.webp": await codecScript("webp"),
  "pembroke.webp.wasm": await codecBinary("webp"),
  "pembroke.module": {
    entry,
    instead: [weights, noKernels, noCodecs],
    beside: [threadsBeside, codecsBeside],
  },
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
