/**
 * Compiles assembly/ into src/backend/wasm/generated/: one .wasm for each build and a .ts that holds it as base64,
 * so that importing the library from a URL needs no permission and no second request.
 *
 *     deno task build           writes the files
 *     deno task build --check   compares them with what is committed, byte by byte
 *
 * @module
 */

import { instantiateSync } from "npm:@assemblyscript/loader@0.28.20";
// @ts-types="./std.d.ts"
import { encodeBase64 } from "npm:deno-std@1.4.0/encoding/base64.js";
import { builds, compile } from "./compile.ts";

const generated = new URL("../src/backend/wasm/generated/", import.meta.url);

/** The module that carries a binary inside a program's own source. */
function carrier(binary: Uint8Array): string {
  return `// Made by \`deno task build\` from assembly/.\nexport default\n  "${
    encodeBase64(binary)
  }";\n`;
}

function differs(file: URL, contents: Uint8Array): boolean {
  const old = Deno.readFileSync(file);
  return old.length !== contents.length || contents.some((byte, i) => byte !== old[i]);
}

/**
 * The names of what a binary exports, for the types and to tell a foreign module. AssemblyScript's
 * own loader starts it, so that a binary which cannot start is never written.
 */
function names(binary: Uint8Array<ArrayBuffer>, shared: boolean): string {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared });
  const { instance } = instantiateSync(binary, { env: { memory } });
  const list = Object.keys(instance.exports).map((name) => `  "${name}",\n`).sort().join("");
  return `// Made by \`deno task build\` from assembly/.\nexport const kernels = [\n${list}] as const;\n`;
}

const check = Deno.args.includes("--check");
for (const [name, features] of Object.entries(builds)) {
  const binary = await compile("index.ts", features);
  const files: [string, Uint8Array][] = [
    [`${name}.wasm`, binary],
    [`${name}.ts`, new TextEncoder().encode(carrier(binary))],
    ["kernels.ts", new TextEncoder().encode(names(binary, features.includes("threads")))],
  ];
  for (const [file, contents] of files) {
    const url = new URL(file, generated);
    if (!check) {
      Deno.writeFileSync(url, contents);
    } else if (differs(url, contents)) {
      console.error(`error: generated/${file} is not what assembly/ compiles to; deno task build`);
      Deno.exit(1);
    }
  }
  console.log(`${name}: ${binary.length} bytes${check ? ", as committed" : ""}`);
}
