/** Who owns the memory of tensors, of views and of results that hold several tensors; and reading. */

import { canSplit, kernelsOf, partOf } from "../../src/backend/interface.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import * as nn from "../../src/layers/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import { disposable, type Tensor, withShape } from "../../src/tensor.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testWithThreads } from "../backends.ts";

testWithThreads("disposable() disposes of the tensors in an object or a list", (backend) => {
  const x = backend.empty([2]), indices = backend.emptyIndices([3]), kept = backend.empty([1]);
  const object = { x, indices, name: "x" }, list = [backend.empty([2]), backend.empty([3])];
  {
    using result = disposable(object);
    using results = disposable(list);
    assert((result as unknown) === object && (results as unknown) === list);
    // the method is not one of the values
    assertEquals([Object.keys(result), Object.keys(results)], [["x", "indices", "name"], [
      "0",
      "1",
    ]]);
    assertEquals(Object.getOwnPropertySymbols({ ...result }), []);
    assert(backend.bytesInUse > kept.size * 4);
  }
  for (const tensor of [x, indices, ...list]) assertThrows(() => tensor.assertAlive("x"));
  kept.dispose();
  assertEquals(backend.bytesInUse, 0);
});

testWithThreads("`using` can free the results of several tensors", (backend) => {
  using x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
  using line = x.view([1, 1, 4]);
  using net = new nn.Sequential({ relu: new nn.ReLU(), flatten: new nn.Flatten() });
  const calls: readonly (() => Disposable)[] = [
    () => ops.maxPool1dWithIndices(line, { kernelSize: 2 }),
    () => ops.maxPool2dWithIndices(x, { kernelSize: 2 }),
    () => ops.adaptiveMaxPool2dWithIndices(x, 1),
    () => ops.batchNormStatistics(x),
    () => net.outputsOf(x, ["flatten", "relu"]), // the second is a view of the first
    () => net.outputsOf(x, ["relu"]),
  ];
  for (const call of calls) {
    call()[Symbol.dispose](); // a network allocates what it shares between passes
    const before = backend.bytesInUse;
    const result = call();
    assert(backend.bytesInUse > before);
    result[Symbol.dispose]();
    assertEquals(backend.bytesInUse, before, String(call));
  }
});

testWithThreads("views do not free memory, and withShape() passes on who does", async (backend) => {
  const x = backend.upload([1, 2, 3, 4], [4]);
  {
    using view = x.view([2, 2]);
    assertEquals([...await view.read()], [1, 2, 3, 4]);
  }
  assertEquals([...await x.read()], [1, 2, 3, 4]);
  using taken = withShape(x, [2, 2]);
  assertEquals([taken.shape, withShape(taken, [2, 2]) === taken], [[2, 2], true]);
  assertEquals([...await taken.read()], [1, 2, 3, 4]);
  {
    using _ = withShape(taken.view([4]), [1, 4]); // remains a view
  }
  assertThrows(() => withShape(taken, [2, 1]), ArgumentError, "must be a shape of 4 elements");
  assertEquals([...await taken.read()], [1, 2, 3, 4]);
});

testOnEveryBackend("free() of a view leaves the memory to its owner", async (backend) => {
  const x = backend.upload([1, 2, 3, 4], [2, 2]), bytes = backend.bytesInUse;
  const views = [x.view([4]), x.view([4]).view([1, 4]), partOf(x, 0, [2])];
  if (canSplit(backend)) views.push(partOf(x, 1, [2]));
  for (const view of views) {
    backend.free(view);
    view.dispose();
    assertEquals(backend.bytesInUse, bytes);
  }
  assertEquals([...await x.read()], [1, 2, 3, 4]);
  backend.free(x);
  backend.free(x);
  x.dispose();
  assertEquals(backend.bytesInUse, 0);
  for (const view of views) backend.free(view);
  assertEquals(backend.bytesInUse, 0);
});

testOnEveryBackend("read() rejects, and does not throw", async (backend) => {
  using other = new WasmBackend();
  using x = backend.upload([1, 2], [2]), foreign = other.upload([1], [1]);
  const gone = backend.upload([1, 2], [2]), view = gone.view([1, 2]);
  gone.dispose();
  const wrong = null as unknown as Tensor;
  const calls: [() => Promise<unknown>, string][] = [
    [() => gone.read(), "read: the tensor [2] was already disposed"],
    [() => view.read(), "read: the tensor [1, 2] was already disposed"],
    [() => backend.read(gone), "read: the tensor [2] was already disposed"],
    [() => backend.read(foreign), "read: tensor is "],
    [() => backend.read(wrong), "read: tensor is null, must be a Tensor"],
  ];
  for (const [call, message] of calls) {
    const promise = call(); // does not throw
    await assertRejects(() => promise, PembrokeError, message);
  }
  assertEquals([...await x.read()], [1, 2]);
});

testOnEveryBackend(
  "read() and squaredNorm() of a disposed backend reject",
  async (backend) => {
    const x = backend.upload([1, 2], [2]);
    assertEquals(await kernelsOf(x).squaredNorm(x), 5);
    backend.dispose();
    for (const call of [() => x.read(), () => kernelsOf(x).squaredNorm(x)]) {
      const promise = call(); // does not throw
      await assertRejects(() => promise, PembrokeError, "the backend was disposed");
    }
  },
  { fresh: true },
);

testOnEveryBackend("read() returns the elements of the time of the call", async (backend) => {
  const x = backend.upload([1, 2], [2]), first = x.read();
  backend.fill(x, 3);
  const second = x.read();
  x.dispose();
  using _ = backend.upload([4, 5], [2]);
  assertEquals(await Promise.all([first, second]), [Float32Array.of(1, 2), Float32Array.of(3, 3)]);
});
