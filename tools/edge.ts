/**
 * Bundles examples/edge for edge runtimes, in dist/edge/ or in the given folder:
 *
 *     deno task edge
 *     deno task edge FOLDER
 *
 * @module
 */

import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundle, type External, noCodecs, noKernels, packageFolder } from "./bundle.ts";

const root = new URL("../", import.meta.url);
const folder = pathToFileURL(`${resolve(Deno.args[0] ?? "dist/edge")}/`);

const sameFolder = (path: string) => path.replace(/.*\//, "./");
const externalWeights: External = [/\.safetensors$/, sameFolder];
const externalWasm: External = [/\.wasm(\?module)?$/, sameFolder];

const withoutBinaries = {
  replacements: [noCodecs, noKernels],
  externals: [externalWeights, externalWasm],
};
const builds = {
  "cloudflare.js": withoutBinaries,
  "cloudflare_storage.js": withoutBinaries,
  "cloudflare_bytes.js": { replacements: [noCodecs], externals: [externalWeights] },
  "vercel.js": withoutBinaries,
};

await Deno.mkdir(folder, { recursive: true });
for (const [name, options] of Object.entries(builds)) {
  const entry = new URL(`examples/edge/${name}`, root);
  const contents = await bundle({ entry, ...options });
  await Deno.writeFile(new URL(name, folder), contents);
  console.log(`${name.padEnd(20)} ${(contents.length / 1000).toFixed(1).padStart(7)} kB`);
}
for (
  const file of [
    "examples/edge/wrangler.jsonc",
    "examples/edge/workerd.capnp",
    "examples/edge/workerd_storage.capnp",
    "examples/edge/workerd_bytes.capnp",
    "src/backend/wasm/generated/relaxed.wasm",
    "src/backend/wasm/generated/simd.wasm",
    "weights/resnet_tiny.safetensors",
    `${await packageFolder("@jsquash/jpeg@1.6.0")}/codec/dec/mozjpeg_dec.wasm`,
    `${await packageFolder("@jsquash/webp@1.5.0")}/codec/dec/webp_dec.wasm`,
  ]
) {
  const from = resolve(fileURLToPath(root), file);
  await Deno.copyFile(from, new URL(file.replace(/.*[/\\]/, ""), folder));
}
