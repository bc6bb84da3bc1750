/** Every operation, and every method of tensors and backends, with arguments of wrong types. */

import { createBackend } from "../../src/backend/mod.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import * as ops from "../../src/ops/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { operationCalls } from "./calls.ts";
import { type Call, checkHostile } from "./hostile_arguments.ts";

Deno.test("operations refuse arguments of every wrong type, and leave tensors alone", async () => {
  using backend = new WasmBackend();
  const { calls, kept } = operationCalls(backend);
  const names = new Set(calls.map(([name]) => name.split(" ")[0]));
  const untested = Object.entries(ops).filter(([name, op]) =>
    typeof op === "function" && !/^[A-Z]/.test(name) && !names.has(name)
  );
  assertEquals(untested.map(([name]) => name), []);
  await checkHostile(backend, calls, kept);
});

Deno.test("tensors and backends refuse arguments of every wrong type", async () => {
  using backend = new WasmBackend();
  const x = backend.upload([1, 2, 3, 4], [2, 2]), copy = backend.upload([0, 0, 0, 0], [4]);
  const calls: Call[] = [
    ["view", (shape) => x.view(shape), [[4]]],
    ["upload", (values, shape) => backend.upload(values, shape), [[1, 2], [2]]],
    ["uploadIndices", (values, shape) => backend.uploadIndices(values, shape), [
      Int32Array.of(1, 2),
      [2],
    ]],
    ["empty", (shape) => backend.empty(shape), [[2]]],
    ["emptyIndices", (shape) => backend.emptyIndices(shape), [[2]]],
    ["emptyInt8", (shape) => backend.emptyInt8(shape), [[2]]],
    ["read", (tensor) => backend.read(tensor), [x]],
  ];
  await checkHostile(backend, calls, [x]);

  // these calls change whichever tensor they are given, if it is a float32 tensor of the backend
  const write: Call = [
    "write",
    (values, offset) => backend.write(copy, values, offset),
    [new Float32Array([1]), 3],
  ];
  const fill: Call = ["fill", (value) => backend.fill(copy, value), [1]];
  await checkHostile(backend, [write, fill], [x]);
  const integers = backend.uploadIndices(Int32Array.of(1, 2), [2]);
  for (const tensor of [integers, null, undefined, 3, {}, "x"]) {
    assertThrows(() => backend.write(tensor as Tensor, new Float32Array(1)), ArgumentError);
    assertThrows(() => backend.fill(tensor as Tensor, 1), ArgumentError);
    if (tensor !== integers) assertThrows(() => backend.free(tensor as Tensor), ArgumentError);
  }
  assertEquals([...await integers.read()], [1, 2]);
});

Deno.test("createBackend() refuses options of every wrong type", async () => {
  // deno-lint-ignore no-explicit-any
  const wrong: any[] = [
    null,
    3,
    "wasm",
    ...[null, "cuda", 3, {}].map((device) => ({ device })),
    ...[null, 3, "f", {}].map((onFallback) => ({ device: "wasm", onFallback })),
    ...[null, 3, {}, new Uint8Array(8)].map((module) => ({ device: "wasm", module })),
    { device: "wasm", thread: 1 },
  ];
  for (const options of wrong) await assertRejects(() => createBackend(options), ArgumentError);
});
