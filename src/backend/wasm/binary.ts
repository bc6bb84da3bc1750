/**
 * The binaries of the kernels: which of them this engine supports, and how to instantiate one.
 */

import { ArgumentError } from "../../errors.ts";
import { kindOf } from "../../kinds.ts";
import { decodeBinary } from "./embedded_binary.ts";
import { type Exports, kernels } from "./generated/kernels.ts";
import relaxed from "./generated/relaxed.ts";
import simd from "./generated/simd.ts";

/** The builds by name, the fastest first. */
const binaries = { "relaxed simd": relaxed, "simd": simd };

/** A compiled build of the kernels. */
export interface Build {
  /** The instructions that it uses; empty if unknown. */
  readonly name: string;
  /** The compiled binary. */
  readonly module: WebAssembly.Module;
}

export type { Exports };

/** The builds for several threads, loaded when needed. */
const threadedBinaries = {
  "relaxed simd": () => import("./generated/relaxed_threads.ts"),
  "simd": () => import("./generated/simd_threads.ts"),
};

type Name = keyof typeof binaries;
const names = Object.keys(binaries) as Name[];

/** The builds for one thread that this engine supports, the fastest first. */
export function supportedBuilds(): Build[] {
  return names.flatMap((name) => compile(name, binaries[name]) ?? []);
}

/** The builds for several threads that this engine supports, the fastest first. */
export async function* threadedBuilds(): AsyncGenerator<Build> {
  for (const name of names) {
    const { default: binary } = await threadedBinaries[name]();
    const build = compile(name, binary);
    if (build) yield build;
  }
}

/**
 * The fastest build that this engine supports. It is compiled when this module is loaded, because edge
 * runtimes forbid it later. Undefined where compiling is forbidden altogether.
 */
export const fastestBuild: Build | undefined = compile("relaxed simd", relaxed) ??
  compile("simd", simd);

function compile(name: Name, binary: string): Build | undefined {
  const bytes = decodeBinary(binary);
  try {
    if (WebAssembly.validate(bytes)) return { name, module: new WebAssembly.Module(bytes) };
  } catch {
    // compiling is forbidden: the caller has to pass a module
  }
  return undefined;
}

/**
 * Checks that a module, of any realm, exports these kernels.
 *
 * @throws {ArgumentError} If it does not.
 */
export function checkModule(module: WebAssembly.Module): void {
  if (kindOf(module) !== "WebAssembly.Module") {
    throw new ArgumentError("createBackend", "module", module, "a WebAssembly.Module");
  }
  const exported = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  const missing = kernels.find((name) => !exported.has(name));
  if (missing) {
    const takes =
      "the kernels of this release, src/backend/wasm/generated/simd.wasm or relaxed.wasm";
    throw new ArgumentError("createBackend", "module", `one without ${missing}`, takes);
  }
}

/** Instantiates kernels over a memory. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Exports {
  try {
    return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
  } catch (cause) {
    if (!(cause instanceof WebAssembly.LinkError)) throw cause;
    const takes = "kernels for one thread, simd.wasm or relaxed.wasm";
    throw new ArgumentError("createBackend", "module", "kernels for several threads", takes);
  }
}
