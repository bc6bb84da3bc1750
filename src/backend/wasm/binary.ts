/**
 * The binaries of the kernels: which of them this engine supports, and how to instantiate one.
 * Those for one thread are in one_thread.ts.
 */

import { ArgumentError } from "../../errors.ts";
import { kindOf } from "../../kinds.ts";
import { decodeBinary } from "./embedded_binary.ts";
import { type Exports, kernels } from "./generated/kernels.ts";

/** A compiled build of the kernels. */
export interface Build {
  /** The instructions that it uses; empty if unknown. */
  readonly name: string;
  /** The compiled binary. */
  readonly module: WebAssembly.Module;
}

export type { Exports };

/** The builds for several threads that this engine supports, the fastest first. */
export async function* threadedBuilds(): AsyncGenerator<Build> {
  if (hasRelaxedSimd()) {
    const { default: binary } = await import("./generated/relaxed_threads.ts");
    const build = compile("relaxed simd", binary);
    if (build) yield build;
  }
  const { default: binary } = await import("./generated/simd_threads.ts");
  const build = compile("simd", binary);
  if (build) yield build;
}

/** Whether the engine has relaxed SIMD. If not, it need not load the builds that use it. */
export function hasRelaxedSimd(): boolean {
  const withRelaxedSwizzle = "AGFzbQEAAAABBQFgAAF7AwIBAAoPAQ0AQQH9D0EC/Q/9gAIL";
  return WebAssembly.validate(Uint8Array.from(atob(withRelaxedSwizzle), (c) => c.charCodeAt(0)));
}

/** Compiles a build. Undefined if the engine does not support it, or forbids compiling. */
export function compile(name: string, binary: string): Build | undefined {
  const bytes = decodeBinary(binary);
  try {
    // without WebAssembly.validate(), which would do half of this work a second time
    return { name, module: new WebAssembly.Module(bytes) };
  } catch { // where compiling is forbidden, the caller has to pass a module
    return undefined;
  }
}

/**
 * Checks that a module, of any realm, exports these kernels.
 *
 * @throws {ArgumentError} When it does not.
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
