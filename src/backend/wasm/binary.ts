/**
 * The binary: which build this engine takes, and what it exports (see assembly/index.ts for what
 * each function does).
 */

import { instantiateSync } from "npm:@assemblyscript/loader@0.28.20";
import relaxed from "./generated/relaxed.ts";
import simd from "./generated/simd.ts";

/** The builds by name, the fastest first. */
const binaries = { "relaxed simd": relaxed, "simd": simd };

/** A build of the kernels that can be instantiated. */
export interface Build {
  /** The instructions it uses. */
  readonly name: string;
  /** The compiled binary. */
  readonly module: WebAssembly.Module;
}

/** Exported functions: numbers in, numbers out. */
export interface Exports {
  [name: string]: (...args: number[]) => number;
}

/** Every build that this engine takes, the fastest first. */
export function supportedBuilds(): Build[] {
  return Object.keys(binaries).flatMap((name) => compile(name as keyof typeof binaries) ?? []);
}

/**
 * The fastest build this engine takes. Compiled when this module is first evaluated, because edge
 * runtimes forbid it later, and some forbid it altogether: undefined there.
 */
export const fastestBuild: Build | undefined = compile("relaxed simd") ?? compile("simd");

function compile(name: keyof typeof binaries): Build | undefined {
  const bytes = Uint8Array.from(atob(binaries[name]), (c) => c.charCodeAt(0));
  try {
    if (WebAssembly.validate(bytes)) return { name, module: new WebAssembly.Module(bytes) };
  } catch {
    // forbidden: the caller passes a module instead
  }
  return undefined;
}

/** Instantiates kernels over a memory. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Exports {
  const { exports } = instantiateSync(module, { env: { memory } });
  return exports as unknown as Exports;
}
