/**
 * The bundles and files that `deno task dist` makes for browsers, Node and bundlers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundledWeights } from "../src/models/bundled.ts";
import {
  type BundleOptions,
  type External,
  noCodecs,
  noKernels,
  packageFolder,
  type Replacement,
} from "./bundle.ts";

/** The folder of the repository. */
export const root = new URL("../", import.meta.url);

/** The library's entry module. */
export const entry = new URL("mod.ts", root);

/** The entry module of all operations, and of their gradients. */
export const operations = new URL("src/ops/mod.ts", root);

const generated = new URL("src/backend/wasm/generated/", root);

/** The bundled weights. */
export const weightsFile = bundledWeights();

/** Its name in `dist/`. */
export const weightsName = weightsFile.pathname.replace(/.*\//, "");

/** A file of an npm package in Deno's cache. */
async function inPackage(name: string, file: string): Promise<URL> {
  return pathToFileURL(`${await packageFolder(name)}/${file}`);
}
const jpegPackage = "@jsquash/jpeg@1.6.0", webpPackage = "@jsquash/webp@1.5.0";

/** The WebAssembly binaries, by their names in `dist/`. */
export const binaries: Readonly<Record<string, URL>> = {
  "simd.wasm": new URL("simd.wasm", generated),
  "relaxed.wasm": new URL("relaxed.wasm", generated),
  "jpeg.wasm": await inPackage(jpegPackage, "codec/dec/mozjpeg_dec.wasm"),
  "webp.wasm": await inPackage(webpPackage, "codec/dec/webp_dec.wasm"),
};

/** The licences of everything in the files, by their names in `dist/`. */
export const licences: Readonly<Record<string, URL>> = {
  "LICENSE": new URL("LICENSE", root),
  "LICENSE.jsquash": await inPackage(jpegPackage, "LICENSE"),
  "LICENSE.mozjpeg": await inPackage(jpegPackage, "codec/LICENSE.codec.md"),
  "LICENSE.libwebp": await inPackage(webpPackage, "codec/LICENSE.codec.md"),
};

/** The character of byte 0. Of this and later characters, strings must escape only the backslash. */
const firstCharacter = "#".charCodeAt(0);

/**
 * A binary as text, with one character for each byte. It compresses better than base64. It has none
 * of the characters before `#`, because some bundlers write their escapes wrongly, such as `\0`.
 */
async function textOf(file: URL): Promise<string> {
  const bytes = await Deno.readFile(file);
  return Array.from(bytes, (byte) => String.fromCharCode(byte + firstCharacter)).join("");
}
const bytesFromText: Replacement = [
  /\bwasm[/\\]embedded_binary\.ts$/,
  () =>
    `export function decodeBinary(text) {
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i) - ${firstCharacter};
      return bytes;
    }`,
];

/** The kernels for one thread: the engine loads one of two files, when it needs it. */
const kernelsOnDemand: Replacement = [
  /\bwasm[/\\]one_thread\.ts$/,
  () =>
    `import { PembrokeError } from "../../errors.ts";
    import { hasRelaxedSimd } from "./binary.ts";
    export const fastestBuild = undefined;
    export async function loadFastestBuild() {
      try {
        const relaxed = hasRelaxedSimd() && (await import("./generated/relaxed.ts")).default;
        return relaxed || (await import("./generated/simd.ts")).default;
      } catch (cause) {
        throw new PembrokeError("cannot load the kernels: " + cause?.message, { cause });
      }
    }`,
];

/** On a server, the weights are a file next to the library. */
const weightsAsFile: Replacement = [
  /\bmodels[/\\]bundled\.ts$/,
  (source) => source.replaceAll("../../weights/", "./"),
];
/** In the npm package, the weights are a module, because bundlers do not include other files. */
const weightsAsModule: Replacement = [
  /\bmodels[/\\]bundled\.ts$/,
  (source) =>
    source.slice(0, source.indexOf("/** Returns the bundled weights as an input.")) +
    `export async function bundledInput() {
      const { default: base64 } = await import("./pembroke.weights.js");
      const text = atob(base64), bytes = new Uint8Array(text.length);
      for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
      return bytes;
    }`,
];

/** The module with the weights for the npm package, in base64, which bundlers do not escape. */
export async function weightsModule(): Promise<string> {
  return `export default "${Buffer.from(await Deno.readFile(weightsFile)).toString("base64")}";\n`;
}

// Modules that are imported when needed are separate files.
const externalKernels: External = [
  /\bgenerated\/(relaxed|simd)\.ts$/,
  (path) => path.replace(/.*\/(\w+)\.ts$/, "./pembroke.kernels.$1.js"),
];
const externalThreads: External = [
  /\bgenerated\/\w+_threads\.ts$/,
  (path) => path.replace(/.*\/(\w+)_threads\.ts$/, "./pembroke.threads.$1.js"),
];
const externalCodecs: External = [
  /^npm:@jsquash\//,
  (path) => path.replace(/^npm:@jsquash\/(\w+).*/, "./pembroke.$1.js"),
];
const externalCodecBinaries: External = [
  /\/\w+_wasm\.js$/,
  (path) => path.replace(/.*\/(\w+)_wasm\.js$/, "./pembroke.$1.wasm.js"),
];
const externalWeights: External = [/^\.\/pembroke\.weights\.js$/, (path) => path];

/** A module that compiles the kernels for one thread, as soon as it is loaded. */
async function compiledKernels(file: string, name: string): Promise<Replacement> {
  const text = JSON.stringify(await textOf(binaries[`${file}.wasm`]));
  return [
    new RegExp(`\\bgenerated[/\\\\]${file}\\.ts$`),
    () =>
      `import { compile } from "../binary.ts";
      export default compile("${name}", ${text});`,
  ];
}

/** A module with the kernels for threads. */
async function threadKernels(name: string): Promise<Replacement> {
  const text = JSON.stringify(await textOf(new URL(`${name}_threads.wasm`, generated)));
  return [new RegExp(`\\b${name}_threads\\.ts$`), () => `export default ${text};`];
}

const kernels: Readonly<Record<string, Replacement>> = {
  relaxed: await compiledKernels("relaxed", "relaxed simd"),
  simd: await compiledKernels("simd", "simd"),
  relaxed_threads: await threadKernels("relaxed"),
  simd_threads: await threadKernels("simd"),
};

/** The file of some kernels. */
function kernelFile(name: string): BundleOptions {
  const entry = new URL(`${name}.ts`, generated);
  return { entry, replacements: [kernels[name], bytesFromText] };
}

/**
 * Emscripten's script without `import.meta.url`, from which it would load the binary that it gets from
 * us. Bundlers would look for the binary, too, or put the script's path on their machine in its place.
 * Without the globals for Node and Cloudflare Workers, too: jsquash.ts passes those that are needed.
 */
const codecScripts: Replacement = [
  /_dec\.js$/,
  (source) =>
    source.replace(/new URL\("\w+\.wasm",import\.meta\.url\)\.href/, '""')
      .replace("_scriptDir = import.meta.url", '_scriptDir = ""')
      .replace(/const isServiceWorker=.*?(?=var moduleOverrides=)/, ""),
];

/** A module that compiles a codec's binary. */
async function compiledCodec(name: string): Promise<Replacement> {
  const text = JSON.stringify(await textOf(binaries[`${name}.wasm`]));
  return [
    new RegExp(`\\b${name}_wasm\\.js$`),
    () =>
      `import { decodeBinary } from "../../backend/wasm/embedded_binary.ts";
      export default new WebAssembly.Module(decodeBinary(${text}));`,
  ];
}

const codecs: Readonly<Record<string, Replacement>> = {
  jpeg: await compiledCodec("jpeg"),
  webp: await compiledCodec("webp"),
};

/** The file of a codec's binary. */
function codecFile(name: string): BundleOptions {
  const entry = new URL(`src/image/codecs/${name}_wasm.js`, root);
  return { entry, replacements: [codecs[name], bytesFromText] };
}

/** The file of a codec's script. */
async function codecScript(name: string, file: string): Promise<BundleOptions> {
  return { entry: await inPackage(name, file), replacements: [codecScripts] };
}

/** A module that fetches its binary, which {@linkcode deflatedFiles} compresses. */
function fetchedBinary(module: RegExp, file: URL, toExport = "bytes"): Replacement {
  return [
    module,
    () =>
      `import path from ${JSON.stringify(`${fileURLToPath(file)}.deflate`)};
      import { compile } from ${JSON.stringify(fileURLToPath(new URL("../binary.ts", generated)))};
      const response = await fetch(new URL(path, import.meta.url));
      if (!response.ok) throw new Error(path + ": HTTP status " + response.status);
      const inflated = response.body.pipeThrough(new DecompressionStream("deflate"));
      const bytes = new Uint8Array(await new Response(inflated).arrayBuffer());
      export default ${toExport};`,
  ];
}

/** The binaries are not embedded. */
const bytesAsTheyAre: Replacement = [
  /\bwasm[/\\]embedded_binary\.ts$/,
  () => "export const decodeBinary = (bytes) => bytes;",
];

/**
 * For pages that are bundled with the library: kernels and codecs are loaded when they are needed,
 * and their binaries are files. Needs {@linkcode deflatedFiles}.
 */
export const pageReplacements: readonly Replacement[] = [
  kernelsOnDemand,
  bytesAsTheyAre,
  codecScripts,
  ...Object.entries({ relaxed: "relaxed simd", simd: "simd" }).flatMap(([name, label]) => [
    fetchedBinary(
      new RegExp(`\\bgenerated[/\\\\]${name}\\.ts$`),
      new URL(`${name}.wasm`, generated),
      `compile("${label}", bytes)`,
    ),
    fetchedBinary(
      new RegExp(`\\bgenerated[/\\\\]${name}_threads\\.ts$`),
      new URL(`${name}_threads.wasm`, generated),
    ),
  ]),
  ...["jpeg", "webp"].map((name) =>
    fetchedBinary(
      new RegExp(`\\b${name}_wasm\\.js$`),
      binaries[`${name}.wasm`],
      "new WebAssembly.Module(bytes)",
    )
  ),
];

const library = {
  entry,
  replacements: [weightsAsFile, kernelsOnDemand, bytesFromText],
  externals: [externalKernels, externalThreads, externalCodecs, externalCodecBinaries],
  lazy: {
    "pembroke.webgpu.js": new URL("src/backend/webgpu.ts", root),
    "pembroke.onnx.js": new URL("src/models/onnx/convert.ts", root),
    "pembroke.pth.js": new URL("src/weights/pth/reader.ts", root),
    "pembroke.compressed.js": new URL("src/weights/deep_compression/reader.ts", root),
    "pembroke.explain.js": new URL("src/explain/methods.ts", root),
    "pembroke.calibrate.js": new URL("src/models/calibrate.ts", root),
  },
} satisfies BundleOptions;
const {
  "pembroke.explain.js": _explain,
  "pembroke.calibrate.js": _calibrate,
  ...lazyWithoutNetworks
} = library.lazy;
const withoutBinaries: BundleOptions = {
  entry,
  replacements: [weightsAsFile, noKernels, noCodecs],
  externals: [externalThreads, externalCodecs],
};

/** The files that the library imports when needed, in `dist/` and in the npm package. */
export const lazyBundles: Readonly<Record<string, BundleOptions>> = {
  "pembroke.kernels.relaxed.js": kernelFile("relaxed"),
  "pembroke.kernels.simd.js": kernelFile("simd"),
  "pembroke.threads.relaxed.js": kernelFile("relaxed_threads"),
  "pembroke.threads.simd.js": kernelFile("simd_threads"),
  "pembroke.jpeg.js": await codecScript(jpegPackage, "codec/dec/mozjpeg_dec.js"),
  "pembroke.jpeg.wasm.js": codecFile("jpeg"),
  "pembroke.webp.js": await codecScript(webpPackage, "codec/dec/webp_dec.js"),
  "pembroke.webp.wasm.js": codecFile("webp"),
};

/**
 * The library without the sections "Networks" and "Explanations" of its entry module, to measure
 * it.
 */
export const withoutNetworks: BundleOptions = {
  ...library,
  lazy: lazyWithoutNetworks,
  replacements: [...library.replacements, [
    /[/\\]mod\.ts$/,
    (source) => source.replace(/^\/\/ (Networks|Explanations)\n(.+\n)+?\n/gm, ""),
  ]],
};

/** The entry files in `dist/`. */
export const entryBundles: Readonly<Record<string, BundleOptions>> = {
  "pembroke.js": library,
  "pembroke.module.js": withoutBinaries,
};

/**
 * The entry file of the npm package for Cloudflare Workers, which compile WebAssembly from bytes
 * only while modules are loaded: it loads the kernels at once.
 */
export const workerdModule = `import "./pembroke.kernels.relaxed.js";
export * from "./pembroke.js";
`;

/** The entry files in the npm package. */
export const packageBundles: Readonly<Record<string, BundleOptions>> = Object.fromEntries(
  Object.entries(entryBundles).map(([name, { replacements = [], externals = [], ...options }]) => [
    name,
    {
      ...options,
      replacements: [weightsAsModule, ...replacements],
      externals: [externalWeights, ...externals],
      ...(name === "pembroke.js" && { beside: { "pembroke.ops.js": operations } }),
      forBundlers: true,
    },
  ]),
);
