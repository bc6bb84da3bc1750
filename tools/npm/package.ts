/**
 * The npm package, from what `deno task dist` has made.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { binaries, firstInPackage, imported, licences, root, weightsModule } from "../builds.ts";
import { bundle } from "../bundle.ts";
import settings from "../../deno.json" with { type: "json" };

/**
 * Makes the package in a folder, and packs it into the folder above where there is npm.
 *
 * @param dist Where the other files lie.
 * @param types The text of the library's `.d.ts`.
 * @returns The packed file; undefined without npm.
 */
export async function npmPackage(folder: URL, dist: URL, types: string): Promise<URL | undefined> {
  await removeOld(folder);
  await Deno.mkdir(folder, { recursive: true });
  for (const name of [imported, binaries, licences].flatMap(Object.keys)) {
    await Deno.copyFile(new URL(name, dist), new URL(name, folder));
  }
  for (const [name, options] of Object.entries(firstInPackage)) {
    await Deno.writeFile(new URL(name, folder), await bundle(options));
  }
  await Deno.writeTextFile(new URL("pembroke.weights.js", folder), await weightsModule());
  // so that a program need not say what it is for
  const libraries = '/// <reference lib="esnext" />\n/// <reference lib="dom" />\n';
  await Deno.writeTextFile(new URL("pembroke.d.ts", folder), libraries + types);
  await Deno.copyFile(new URL("tools/npm/README.md", root), new URL("README.md", folder));
  const description = JSON.stringify(packageJson(), null, 2);
  await Deno.writeTextFile(new URL("package.json", folder), `${description}\n`);
  return await pack(folder);
}

/** Removes the package that was made before; refuses a folder that holds something else. */
async function removeOld(folder: URL): Promise<void> {
  try {
    const { name } = JSON.parse(await Deno.readTextFile(new URL("package.json", folder)));
    if (name !== packageName) throw new Error(`${folder} is a package of somebody else's`);
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

const packageName = "pembroke";

function packageJson() {
  const wasm = Object.fromEntries(Object.keys(binaries).map((name) => [`./${name}`, `./${name}`]));
  return {
    name: packageName,
    version: settings.version,
    description: "Convolution kernels in SIMD WebAssembly, and the AlexNet that proves them",
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
    sideEffects: false,
    types: "./pembroke.d.ts",
    exports: {
      ".": { types: "./pembroke.d.ts", default: "./pembroke.js" },
      "./module": { types: "./pembroke.d.ts", default: "./pembroke.module.js" },
      ...wasm,
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
