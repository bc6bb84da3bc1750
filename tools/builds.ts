/**
 * The files of which `deno task dist` makes the library for browsers, Node and bundlers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { pathToFileURL } from "node:url";
import { type BundleOptions, noCodecs, noKernels, packageFolder } from "./bundle.ts";

/** Where the repository lies. */
export const root = new URL("../", import.meta.url);

/** The library's door. */
export const entry = new URL("mod.ts", root);

const generated = new URL("src/backend/wasm/generated/", root);

/** The bundled weights. */
export const weightsFile = new URL("weights/alexnet_tiny.safetensors", root);

/** A file of a codec's package, which Deno keeps. */
async function inPackage(name: string, file: string): Promise<URL> {
  return pathToFileURL(`${await packageFolder(name)}/${file}`);
}
const jpegPackage = "@jsquash/jpeg@1.6.0", webpPackage = "@jsquash/webp@1.5.0";

/** Binaries that are compiled ahead, by the names that they have in `dist/`. */
export const binaries: Readonly<Record<string, URL>> = {
  "simd.wasm": new URL("simd.wasm", generated),
  "relaxed.wasm": new URL("relaxed.wasm", generated),
  "jpeg.wasm": await inPackage(jpegPackage, "codec/dec/mozjpeg_dec.wasm"),
  "webp.wasm": await inPackage(webpPackage, "codec/dec/webp_dec.wasm"),
};

/** The terms of everything that is in the files, by the names that they have in `dist/`. */
export const licences: Readonly<Record<string, URL>> = {
  "LICENSE": new URL("LICENSE", root),
  "LICENSE.jsquash": await inPackage(jpegPackage, "LICENSE"),
  "LICENSE.mozjpeg": await inPackage(jpegPackage, "codec/LICENSE.codec.md"),
  "LICENSE.libwebp": await inPackage(webpPackage, "codec/LICENSE.codec.md"),
};

/** A binary as a character for each byte: base64 would hide from gzip what repeats itself in it. */
async function textOf(file: URL): Promise<string> {
  return Buffer.from(await Deno.readFile(file)).toString("latin1");
}
const bytesFromText = [
  /\bwasm[/\\]embedded_binary\.ts$/,
  () =>
    `export function decodeBinary(text) {
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
  ["relaxed.wasm", "simd.wasm"].map((name) => textOf(binaries[name])),
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

/** On a server the weights lie beside the library. */
const weightsAsFile = [
  /\bmodels[/\\]bundled\.ts$/,
  (source: string) => source.replace("../../weights/", "./"),
] as const;
/** In the npm package they are a module: of files, bundlers know nothing unless they are told. */
const weightsAsModule = [
  /\bmodels[/\\]bundled\.ts$/,
  () =>
    `export async function bundledInput() {
      const { default: base64 } = await import("./pembroke.weights.js");
      const text = atob(base64), bytes = new Uint8Array(text.length);
      for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
      return bytes;
    }`,
] as const;

/** The module that {@linkcode npmBuilds} import weights from: in base64, which no bundler makes longer. */
export async function weightsModule(): Promise<string> {
  return `export default "${Buffer.from(await Deno.readFile(weightsFile)).toString("base64")}";\n`;
}

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
const weightsBeside = [/^\.\/pembroke\.weights\.js$/, (path: string) => path] as const;

/** Kernels for threads. */
async function threads(name: string): Promise<BundleOptions> {
  const text = JSON.stringify(await textOf(new URL(`${name}_threads.wasm`, generated)));
  const entry = new URL(`${name}_threads.ts`, generated);
  return { entry, instead: [[/_threads\.ts$/, () => `export default ${text};`]] };
}

/** Emscripten's script, which must not name a file that bundlers would look for. */
async function codecScript(name: string, file: string): Promise<BundleOptions> {
  const glue = /new URL\("\w+\.wasm",import\.meta\.url\)\.href/;
  return {
    entry: await inPackage(name, file),
    instead: [[/_dec\.js$/, (source) => source.replace(glue, '""')]],
  };
}

/** A codec's binary, compiled. */
async function codecBinary(name: string): Promise<BundleOptions> {
  const text = JSON.stringify(await textOf(binaries[`${name}.wasm`]));
  return {
    entry: new URL(`src/image/codecs/${name}_wasm.js`, root),
    instead: [
      [
        /_wasm\.js$/,
        () =>
          `import { decodeBinary } from "../../backend/wasm/embedded_binary.ts";
          export default new WebAssembly.Module(decodeBinary(${text}));`,
      ],
      bytesFromText,
    ],
  };
}

const library: BundleOptions = {
  entry,
  instead: [weightsAsFile, ...kernels],
  beside: [threadsBeside, codecsBeside, codecBinariesBeside],
};
const withoutBinaries: BundleOptions = {
  entry,
  instead: [weightsAsFile, noKernels, noCodecs],
  beside: [threadsBeside, codecsBeside],
};

/** What is imported when it is needed: the same for servers and in the npm package. */
export const imported: Readonly<Record<string, BundleOptions>> = {
  "pembroke.threads.relaxed.js": await threads("relaxed"),
  "pembroke.threads.simd.js": await threads("simd"),
  "pembroke.jpeg.js": await codecScript(jpegPackage, "codec/dec/mozjpeg_dec.js"),
  "pembroke.jpeg.wasm.js": await codecBinary("jpeg"),
  "pembroke.webp.js": await codecScript(webpPackage, "codec/dec/webp_dec.js"),
  "pembroke.webp.wasm.js": await codecBinary("webp"),
};

/** What a page, or Node, imports first. */
export const first: Readonly<Record<string, BundleOptions>> = {
  "pembroke.js": library,
  "pembroke.module.js": withoutBinaries,
};

/** The same in the npm package. */
export const firstInPackage: Readonly<Record<string, BundleOptions>> = Object.fromEntries(
  Object.entries(first).map(([name, { entry, instead = [], beside = [] }]) => [name, {
    entry,
    instead: [weightsAsModule, ...instead],
    beside: [weightsBeside, ...beside],
    readable: true,
  }]),
);
