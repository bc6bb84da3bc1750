import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import { assertEquals, assertRejects } from "../assert.ts";

const generated = new URL("../../src/backend/wasm/generated/", import.meta.url);

Deno.test("createBackend() accepts the kernels as a module", async () => {
  const module = await WebAssembly.compile(await Deno.readFile(new URL("simd.wasm", generated)));
  using backend = await createBackend({ module });
  assertEquals(backend.name, "wasm");
  using x = backend.upload([1, 2], [2]);
  assertEquals([...await x.read()], [1, 2]);
});

Deno.test("createBackend() refuses other modules", async () => {
  const empty = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  await assertRejects(() => createBackend({ module: empty }), ArgumentError, "one without");
  const threaded = await WebAssembly.compile(
    await Deno.readFile(new URL("simd_threads.wasm", generated)),
  );
  await assertRejects(() => createBackend({ module: threaded }), ArgumentError, "one thread");
  // deno-lint-ignore no-explicit-any
  const bytes = new Uint8Array(8) as any;
  await assertRejects(() => createBackend({ module: bytes }), ArgumentError, "WebAssembly.Module");
  // deno-lint-ignore no-explicit-any
  const device = "cuda" as any;
  await assertRejects(() => createBackend({ device }), ArgumentError, 'must be "auto", "wasm" or');
});
