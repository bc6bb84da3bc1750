/**
 * Compiles assembly/ into src/backend/wasm/generated/:
 *
 * - a .wasm for each build, and a .ts that holds it as base64, so that importing the library from a
 *   URL needs no permission and no second request;
 * - kernels.ts, what the binaries export, and which of it runs on several threads;
 * - geometry.ts, the blocks of numbers that kernels take.
 *
 *     deno task build           writes the files
 *     deno task build --check   compares them with what is committed, byte by byte
 *
 * @module
 */

import { instantiateSync } from "npm:@assemblyscript/loader@0.28.20";
// @ts-types="./std.d.ts"
import { encodeBase64 } from "npm:deno-std@1.4.0/encoding/base64.js";
import { builds, compile, compileText } from "./compile.ts";
import { exportsModule, exportsOf } from "./exports.ts";
import { geometryModule } from "./geometry.ts";

const generated = new URL("../src/backend/wasm/generated/", import.meta.url);
const geometry = ["assembly/geometry.ts", "assembly/training_geometry.ts", "assembly/codes.ts"];
const check = Deno.args.includes("--check");

const text = await compileText("index.ts", builds.simd_threads);
put("kernels.ts", encode(exportsModule(text)));
put("geometry.ts", encode(geometryModule(new Map(geometry.map((file) => [file, read(file)])))));
const expected = [...exportsOf(text).keys()].sort().join();
for (const [name, features] of Object.entries(builds)) {
  const binary = await compile("index.ts", features);
  if (namesOf(binary, features.includes("threads")) !== expected) {
    throw new Error(`${name} exports other functions than kernels.ts lists`);
  }
  put(`${name}.wasm`, binary);
  put(`${name}.ts`, encode(carrier(binary)));
  console.log(`${name}: ${binary.length} bytes${check ? ", as committed" : ""}`);
}

/** Reads a source by its path in the repository. */
function read(file: string): string {
  return Deno.readTextFileSync(new URL(`../${file}`, import.meta.url));
}

/** Writes a file, or compares it with the committed one. */
function put(file: string, contents: Uint8Array): void {
  const url = new URL(file, generated);
  if (!check) {
    Deno.writeFileSync(url, contents);
  } else if (differs(url, contents)) {
    console.error(
      `error: generated/${file} differs from what assembly/ gives: run deno task build`,
    );
    Deno.exit(1);
  }
}

function differs(file: URL, contents: Uint8Array): boolean {
  const old = Deno.readFileSync(file);
  return old.length !== contents.length || contents.some((byte, i) => byte !== old[i]);
}

function encode(source: string): Uint8Array {
  return new TextEncoder().encode(source);
}

/** The module that carries a binary inside a program's own source. */
function carrier(binary: Uint8Array): string {
  return `// Made by \`deno task build\` from assembly/.\nexport default\n  "${
    encodeBase64(binary)
  }";\n`;
}

/**
 * The names of what a binary exports. AssemblyScript's own loader starts it, so that a binary which
 * cannot start is never written.
 */
function namesOf(binary: Uint8Array<ArrayBuffer>, shared: boolean): string {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared });
  const { instance } = instantiateSync(binary, { env: { memory } });
  return Object.keys(instance.exports).sort().join();
}
