/** Every backend that the machine can make: suites run over all of them. */

import type { Backend } from "../src/backend.ts";
import { supportedBuilds } from "../src/backend/wasm/binary.ts";
import { WasmBackend } from "../src/backend/wasm.ts";

const wasmBuilds = supportedBuilds();
if (wasmBuilds.length !== 2) {
  throw new Error("this engine lacks relaxed SIMD: half would go untested");
}

/** Runs a test body once on each backend, with a fresh one. */
export function testOnEveryBackend(
  name: string,
  body: (backend: Backend) => void | Promise<void>,
): void {
  for (const build of wasmBuilds) {
    Deno.test(`${name} (${build.name})`, async () => {
      using backend = new WasmBackend(build);
      await body(backend);
    });
  }
}
