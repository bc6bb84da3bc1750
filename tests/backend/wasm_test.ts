import { createBackend } from "../../src/backend/mod.ts";
import { hasRelaxedSimd } from "../../src/backend/wasm/binary.ts";
import { supportedBuilds } from "../../src/backend/wasm/one_thread.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import * as ops from "../../src/ops/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testOnWasm } from "../backends.ts";
import { bits, Draw, sumTolerance, upload } from "./harness.ts";

const values = (tensor: Tensor) => tensor.read().then((v) => Array.from(v));

Deno.test("createBackend() uses the fastest build, and names it", async () => {
  using backend = await createBackend();
  assertEquals(backend.name, "wasm (relaxed simd)");
  assertEquals(backend.device, "wasm");
  assertEquals(backend.threads, Math.min(navigator.hardwareConcurrency, 16));
});

Deno.test("createBackend() accepts a module that the caller compiled", async () => {
  const url = new URL("../../src/backend/wasm/generated/simd.wasm", import.meta.url);
  using backend = await createBackend({ module: new WebAssembly.Module(await Deno.readFile(url)) });
  using x = backend.upload([-1, 2], [2]);
  using y = ops.relu(x);
  assertEquals(await values(y), [0, 2]);
});

Deno.test("createBackend() refuses an unknown device", async () => {
  // deno-lint-ignore no-explicit-any
  const error = await assertRejects(() => createBackend({ device: "cuda" as any }), ArgumentError);
  assertEquals(
    error.message,
    'createBackend: device is "cuda", must be "auto", "wasm" or "webgpu"',
  );
});

Deno.test("hasRelaxedSimd() tells whether the engine supports the builds that use it", () => {
  const names = supportedBuilds().map(({ name }) => name);
  assertEquals(hasRelaxedSimd(), names.includes("relaxed simd"));
});

Deno.test("the builds agree with each other", async () => {
  const draw = new Draw(1);
  const x = draw.floats([2, 16, 15, 17]), w = draw.floats([20, 16, 3, 3]), b = draw.floats([20]);
  const outputs = await Promise.all(
    supportedBuilds().map(async (build) => {
      using backend = new WasmBackend(build);
      const [tx, tw, tb] = [x, w, b].map((a) => upload(backend, a));
      const y = ops.conv2d(tx, tw, tb, { padding: 1, activation: "relu" });
      const pooled = ops.maxPool2d(y, { kernelSize: 3, stride: 2 });
      const normal = ops.localResponseNorm(pooled, 5);
      const flat = normal.view([2, normal.size / 2]);
      return { conv: await y.read(), softmax: await ops.softmax(flat, 1).read() };
    }),
  );
  assertEquals(outputs.length, 2);
  const [relaxed, simd] = outputs;
  assertAllClose(relaxed.conv, simd.conv, sumTolerance(144, x, w));
  assertAllClose(relaxed.softmax, simd.softmax, { abs: 1e-6, rel: 1e-4 });
});

testOnEveryBackend("upload() and read() keep every bit", async (backend) => {
  const x = new Float32Array([1, -0, NaN, Infinity, -Infinity, 1e-45, 3.4028234663852886e38]);
  using tensor = backend.upload(x, [7]);
  assertEquals(bits(await tensor.read()), bits(x));
  const copy = await tensor.read();
  copy.fill(0);
  assertEquals(bits(await tensor.read()), bits(x), "what was read is a copy");
});

testOnEveryBackend(
  "write() overwrites a part, and refuses ranges outside the tensor",
  async (backend) => {
    using x = backend.upload([1, 2, 3, 4], [4]);
    backend.write(x, new Float32Array([7, 8]), 1);
    assertEquals(await values(x), [1, 7, 8, 4]);
    backend.write(x, new Float32Array(0), 4);
    for (const offset of [-1, 3, 0.5, NaN, Infinity, 2 ** 32]) {
      assertThrows(() => backend.write(x, new Float32Array(2), offset), ArgumentError, "write: ");
    }
    assertEquals(await values(x), [1, 7, 8, 4]);
  },
);

testOnEveryBackend("upload() refuses values whose number does not match the shape", (backend) => {
  const error = assertThrows(() => backend.upload([1, 2, 3], [2, 2]), ArgumentError);
  assertEquals(
    error.message,
    "upload: the number of values is 3, must be 4, as the shape [2, 2] says",
  );
  assertEquals(backend.bytesInUse, 0);
});

testOnEveryBackend("empty() refuses invalid shapes", (backend) => {
  for (const shape of [[0], [2, 0, 3], [-1], [-2, -3], [1.5], [NaN], [Infinity]]) {
    assertThrows(() => backend.empty(shape), ArgumentError, "shape is [");
    assertThrows(() => backend.emptyIndices(shape), ArgumentError, "shape is [");
  }
  assertEquals(backend.bytesInUse, 0);
});

testOnEveryBackend("bytesInUse goes back to 0 when every tensor is disposed", (backend) => {
  assertEquals(backend.bytesInUse, 0);
  {
    using x = backend.empty([1, 3, 9, 9]);
    using w = backend.empty([5, 3, 3, 3]);
    assert(backend.bytesInUse >= x.size * 4 + w.size * 4);
    using _y = ops.conv2d(x, w, null, { padding: 1 });
    const { output, indices } = ops.maxPool2dWithIndices(x, { kernelSize: 2 });
    output.dispose();
    indices.dispose();
    indices.dispose(); // the second call has no effect
  }
  assertEquals(backend.bytesInUse, 0);
});

testOnWasm(
  "tensors keep their values when the memory grows",
  async (backend) => {
    const draw = new Draw(2);
    const held: [Tensor, Float32Array][] = [];
    for (let i = 0; i < 12; i++) {
      const x = draw.floats([2 ** i * 1000]); // 16 MB in the end, from 1 MiB
      held.push([upload(backend, x), x.data]);
      for (const [tensor, data] of held) {
        assertEquals(bits((await tensor.read()).subarray(0, 9)), bits(data.subarray(0, 9)));
      }
    }
    for (const [tensor, data] of held) assertEquals(bits(await tensor.read()), bits(data));
    for (const [tensor] of held) tensor.dispose();
  },
  { fresh: true },
);

testOnEveryBackend(
  "an operation is correct when its scratch memory makes the memory grow",
  async (backend) => {
    const x = new Draw(3).floats([1, 2, 400, 400]);
    using tx = upload(backend, x);
    using w = backend.upload([1, 0], [1, 2, 1, 1]);
    using y = ops.conv2d(tx, w, null, { padding: 1 });
    const inner = (await y.read()).subarray(403, 803);
    assertEquals(bits(inner.slice()), bits(x.data.slice(0, 400)));
  },
  { fresh: true },
);

testOnEveryBackend(
  "a view shares memory, has as many elements, and does not free it",
  async (backend) => {
    using x = backend.upload([1, 2, 3, 4, 5, 6], [2, 3]);
    const view = x.view([3, 2]);
    backend.write(view, new Float32Array([9]));
    assertEquals(await values(x), [9, 2, 3, 4, 5, 6]);
    view.dispose();
    assertEquals(await values(x), [9, 2, 3, 4, 5, 6]);
    const shapes = [[7], [2, 4], [2, 2], [1], [], [-2, -3], [0], [6.5], [NaN], Array(1), [["6"]]];
    for (const shape of [...shapes, [2 ** 32, 2 ** 32, 6], null, undefined, "6", 6, {}]) {
      const error = assertThrows(() => x.view(shape as number[]), ArgumentError, "view: shape is ");
      assert(error.message.endsWith(", must be a shape of 6 elements"), error.message);
    }
    using one = x.backend.empty([1]);
    assertThrows(() => one.view([2]), ArgumentError, "must be a shape of one element");
  },
);

testOnEveryBackend(
  "every write to a tensor increases its version, also through views",
  (backend) => {
    using x = backend.upload([1, 2, 3, 4], [1, 1, 4]);
    using w = backend.upload([1], [1, 1, 1]);
    using out = backend.empty([1, 1, 4]);
    const writes: (() => void)[] = [
      () => backend.write(out, new Float32Array(4)),
      () => backend.write(out.view([4]), new Float32Array(4)),
      () => ops.relu(x, { out }),
      () => ops.conv1d(x, w, null, { out }),
      () => ops.maxPool1d(x, { kernelSize: 1, out }),
      () => ops.avgPool1d(x, { kernelSize: 1, out }),
      () => ops.adaptiveAvgPool1d(x, 4, { out }),
      () => ops.softmax(x, 2, { out }),
      () => ops.localResponseNorm(x, 1, { out }),
    ];
    for (const write of writes) {
      const before = out.version;
      write();
      assert(out.version > before, String(write));
    }
  },
);

testOnEveryBackend("every operation refuses a disposed tensor", (backend) => {
  using x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
  using w = backend.upload([1], [1, 1, 1, 1]);
  using b = backend.upload([1], [1]);
  const gone = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
  const view = gone.view([4]);
  const prepared = ops.prepareConv(w);
  prepared.packed.dispose();
  gone.dispose();
  const uses: (() => unknown)[] = [
    () => backend.write(gone, new Float32Array(1)),
    () => gone.view([4]),
    () => ops.relu(gone),
    () => ops.relu(view),
    () => ops.relu(x, { out: gone }),
    () => ops.conv2d(gone, w, b),
    () => ops.conv2d(x, gone, b),
    () => ops.conv2d(x, w, view),
    () => ops.conv2d(x, prepared, null),
    () => ops.prepareConv(gone),
    () => ops.maxPool2d(gone, { kernelSize: 1 }),
    () => ops.maxPool2dWithIndices(gone, { kernelSize: 1 }),
    () => ops.avgPool2d(gone, { kernelSize: 1 }),
    () => ops.adaptiveAvgPool2d(gone, 1),
    () => ops.linear(gone, x.view([2, 2]), null),
    () => ops.softmax(gone, 0),
    () => ops.logSoftmax(gone, 0),
    () => ops.localResponseNorm(gone, 1),
    () => ops.batchNorm(x, { runningMean: gone, runningVar: b }),
  ];
  const before = backend.bytesInUse;
  for (const use of uses) {
    assertThrows(use, PembrokeError, "was already disposed", String(use));
    assertEquals(backend.bytesInUse, before, String(use));
  }
});

testOnEveryBackend(
  "a disposed backend refuses every operation, but lets tensors be disposed",
  (backend) => {
    const x = backend.upload([1, 2], [2]);
    backend.dispose();
    backend.dispose();
    const uses: (() => unknown)[] = [
      () => backend.upload([1], [1]),
      () => backend.empty([1]),
      () => backend.emptyIndices([1]),
      () => backend.write(x, new Float32Array(1)),
      () => ops.relu(x),
      () => ops.relu(x, { out: x }),
      () => ops.softmax(x, 0, { out: x }),
    ];
    for (const use of uses) {
      assertThrows(
        use,
        PembrokeError,
        "the backend was disposed",
        String(use),
      );
    }
    assertEquals(backend.bytesInUse, 0);
    x.dispose();
    assertEquals(backend.bytesInUse, 0);
  },
);

testOnEveryBackend(
  "backends share nothing, and refuse each other's tensors",
  async (backend) => {
    using other = new WasmBackend();
    using mine = backend.upload([1, 2], [1, 1, 1, 2]);
    using theirs = other.upload([3, 4], [1, 1, 1, 2]);
    using w = other.upload([1], [1, 1, 1, 1]);
    using b = other.upload([1], [1]);
    const prepared = ops.prepareConv(w);
    const uses: (() => unknown)[] = [
      () => ops.relu(mine, { out: theirs }),
      () => ops.conv2d(mine, w, null),
      () => ops.conv2d(mine, prepared, null),
      () => ops.conv2d(theirs, w, mine.view([2])),
      () => ops.linear(mine, theirs.view([1, 2]), null),
      () => ops.batchNorm(mine, { runningMean: b, runningVar: b }),
      () => backend.write(theirs, new Float32Array(1)),
      () => backend.free(theirs),
    ];
    const before = [backend.bytesInUse, other.bytesInUse];
    for (const use of uses) assertThrows(use, ArgumentError, "must be on ", String(use));
    assertEquals([backend.bytesInUse, other.bytesInUse], before);
    assertEquals([await values(mine), await values(theirs)], [[1, 2], [3, 4]]);
    backend.dispose();
    assertEquals(await values(theirs), [3, 4]);
    prepared.packed.dispose();
  },
);

testOnEveryBackend(
  "running out of memory is a one-line error that leaks nothing",
  async (backend) => {
    using x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
    using w = backend.upload([1, 1, 1, 1], [1, 1, 2, 2]);
    using row = backend.upload([1, 2, 3], [1, 1, 3]);
    const before = backend.bytesInUse;
    const uses: (() => unknown)[] = [
      () => backend.empty([2 ** 29, 2 ** 10]),
      () => backend.empty([2 ** 30]), // exactly 4 GiB
      () => backend.empty([2 ** 40, 2 ** 40, 2 ** 40]),
      () => ops.adaptiveAvgPool2d(x, 2 ** 20),
      () => ops.conv2d(x, w, null, { padding: 1e6 }),
    ];
    if (backend.device === "wasm") { // 3 × 3 outputs of a huge padded input, which only Wasm stores
      uses.push(() => ops.conv2d(x, w, null, { padding: 1e6, stride: 1e6 }));
      uses.push(() => ops.conv1d(row, row, null, { padding: 2 ** 29, stride: 2 ** 29 }));
    }
    for (const use of uses) {
      const error = assertThrows(use, PembrokeError, "out of memory", String(use));
      assertEquals(error.message.split("\n").length, 1);
      assertEquals(backend.bytesInUse, before, String(use));
    }
    using y = ops.conv2d(x, w, null);
    assertEquals(await values(y), [10]);
  },
);

Deno.test({
  name: "createBackend() requests no adapter on Linux without a GPU",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { statSync } = Deno, gpu = Object.getPrototypeOf(navigator.gpu), { requestAdapter } = gpu;
    let asked = 0;
    gpu.requestAdapter = () => {
      asked++;
      return Promise.resolve(null);
    };
    const reasons: string[] = [];
    const onFallback = ({ message }: Error) => reasons.push(message);
    try {
      Deno.statSync = () => {
        throw new Deno.errors.NotFound("none");
      };
      using wasm = await createBackend({ threads: 1, onFallback });
      assertEquals([wasm.device, asked], ["wasm", 0]);
      Deno.statSync = () => statSync("/dev/null");
      using other = await createBackend({ threads: 1, onFallback });
      assertEquals([other.device, asked], ["wasm", 1]);
      const none = ["this machine has no GPU", "this machine has no adapter"];
      assertEquals(reasons, none.map((reason) => `webgpu: ${reason}`));
    } finally {
      Deno.statSync = statSync;
      gpu.requestAdapter = requestAdapter;
    }
  },
});
