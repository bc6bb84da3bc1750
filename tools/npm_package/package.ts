/**
 * Makes the npm package from the files of `deno task dist`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import {
  binaries,
  entry,
  lazyBundles,
  licences,
  operations,
  packageBundles,
  root,
  weightsModule,
  workerdModule,
} from "../builds.ts";
import { bundleFiles } from "../bundle.ts";
import { sharedDeclarations } from "../declarations.ts";
import settings from "../../deno.json" with { type: "json" };

/**
 * Makes the package in a folder. If npm is installed, packs it into the parent folder.
 *
 * @param dist The folder with the files of `deno task dist`.
 * @returns The packed file, or undefined if npm is not installed.
 */
export async function npmPackage(folder: URL, dist: URL): Promise<URL | undefined> {
  await removeOld(folder);
  await Deno.mkdir(folder, { recursive: true });
  for (const name of [lazyBundles, binaries, licences].flatMap(Object.keys)) {
    await Deno.copyFile(new URL(name, dist), new URL(name, folder));
  }
  for (const [name, options] of Object.entries(packageBundles)) {
    for (const [file, contents] of Object.entries(await bundleFiles(name, options))) {
      await Deno.writeFile(new URL(file, folder), contents);
    }
  }
  await Deno.writeTextFile(new URL("pembroke.workerd.js", folder), workerdModule);
  await Deno.writeTextFile(new URL("pembroke.weights.js", folder), await weightsModule());
  const entries = { "pembroke": entry, "pembroke.ops": operations };
  const types = await sharedDeclarations(entries, "pembroke.types", packageName);
  for (const [name, text] of Object.entries(types)) {
    await Deno.writeTextFile(new URL(`${name}.d.ts`, folder), withoutDom(text));
  }
  await Deno.writeTextFile(new URL("pembroke.wasm.d.ts", folder), binaryTypes);
  await Deno.copyFile(new URL("tools/npm_package/README.md", root), new URL("README.md", folder));
  const description = JSON.stringify(packageJson(), null, 2);
  await Deno.writeTextFile(new URL("package.json", folder), `${description}\n`);
  return await pack(folder);
}

/**
 * Makes types that do not need those of pages (`"lib": ["dom"]`), which Node lacks and which contradict
 * those of Cloudflare Workers. They need what all of these have, such as `Response`, and declare the rest.
 */
function withoutDom(types: string): string {
  if (!types.includes('ImageData["data"]')) return types;
  const imageData = "{ ImageData: { prototype: { data: infer Data } } }";
  return `/// <reference lib="es2022.error" />
/// <reference lib="esnext.disposable" />
declare global {
  namespace WebAssembly {
    interface Module {}
  }
}
/** The pixels of an \`ImageData\`. */
type ImageDataPixels = typeof globalThis extends ${imageData} ? Data : Uint8ClampedArray;
${types.replaceAll('ImageData["data"]', "ImageDataPixels")}`;
}

/** The types of a binary, as bundlers for edge runtimes import it. */
const binaryTypes = `declare const module: WebAssembly.Module;
export default module;
`;

/** Removes an earlier version of the package. Throws if the folder holds something else. */
async function removeOld(folder: URL): Promise<void> {
  try {
    const { name } = JSON.parse(await Deno.readTextFile(new URL("package.json", folder)));
    if (name !== packageName) throw new Error(`${folder} contains another package, ${name}`);
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

const packageName = "pembroke";

function packageJson() {
  // Next.js and Vercel import them compiled with `?module`
  const wasm = Object.keys(binaries).flatMap((name) => [`./${name}`, `./${name}?module`]);
  const types = "./pembroke.wasm.d.ts";
  return {
    name: packageName,
    version: settings.version,
    description:
      "Convolution kernels in SIMD WebAssembly, with layers, training and networks on top",
    keywords: [
      "alexnet",
      "convolution",
      "image-classification",
      "neural-network",
      "wasm",
      "webgpu",
    ],
    license: settings.license,
    type: "module",
    // pembroke.workerd.js imports compiled kernels for this effect only
    sideEffects: ["./pembroke.workerd.js", "./pembroke.kernels.relaxed.js"],
    // for bundlers that ignore "exports", as Parcel does
    main: "./pembroke.js",
    types: "./pembroke.d.ts",
    exports: {
      ".": {
        types: "./pembroke.d.ts",
        workerd: "./pembroke.workerd.js",
        default: "./pembroke.js",
      },
      "./ops": { types: "./pembroke.ops.d.ts", default: "./pembroke.ops.js" },
      "./module": { types: "./pembroke.d.ts", default: "./pembroke.module.js" },
      ...Object.fromEntries(wasm.map((name) => [name, { types, default: name }])),
      "./package.json": "./package.json",
    },
    engines: { node: ">=20" },
  };
}

async function pack(folder: URL): Promise<URL | undefined> {
  const npm = new Deno.Command(Deno.build.os === "windows" ? "npm.cmd" : "npm", {
    args: ["pack", "--silent", "--ignore-scripts", "--pack-destination", ".."],
    cwd: fileURLToPath(folder),
    stderr: "inherit",
  });
  try {
    const { success, stdout } = await npm.output();
    if (!success) throw new Error("npm pack failed");
    return new URL(`../${new TextDecoder().decode(stdout).trim()}`, folder);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
