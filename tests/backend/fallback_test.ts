/** What "auto" takes of the adapters that there may be; none of them is real. */

import { type BackendOptions, createBackend } from "../../src/backend/mod.ts";
import { DeviceLostError, PembrokeError } from "../../src/errors.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { withGpuFiles } from "../webgpu.ts";

/** Runs where WebGPU finds an adapter in this way. */
function finding(requestAdapter: () => unknown, run: () => Promise<void>): Promise<void> {
  return withGpuFiles(async () => {
    const gpu = { requestAdapter };
    Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
    try {
      await run();
    } finally {
      Reflect.deleteProperty(navigator, "gpu"); // the runtime's own lies behind it
    }
  });
}

/** An adapter that says this of itself, and gives no device. */
function adapter(says: object, own: object = {}) {
  const requestDevice = () => Promise.reject(new Error("not real"));
  return { info: says, features: new Set(), requestDevice, ...own };
}

/** The device that "auto" takes, and what it tells. */
async function taken(options: BackendOptions = {}) {
  const told: PembrokeError[] = [];
  const onFallback = (reason: PembrokeError) => void told.push(reason);
  using backend = await createBackend({ threads: 1, ...options, onFallback });
  return { device: backend.device, told };
}

/** Adapters that compute on the processor, by what errors call them. */
const fallbacks: Record<string, object> = {
  "one that admits it": adapter({ isFallbackAdapter: true, description: "one that admits it" }),
  "one in an older browser": adapter({ description: "one in an older browser" }, {
    isFallbackAdapter: true,
  }),
  "unnamed": { ...adapter({}), info: undefined, isFallbackAdapter: true },
  "llvmpipe (LLVM 15.0.6, 256 bits)": adapter({
    isFallbackAdapter: false,
    description: "llvmpipe (LLVM 15.0.6, 256 bits)",
  }),
  "lavapipe": adapter({ device: "lavapipe" }),
  "softpipe": adapter({ description: "softpipe" }),
  "SwiftShader Device (Subzero)": adapter({ description: "SwiftShader Device (Subzero)" }),
  "google swiftshader": adapter({ vendor: "google", architecture: "swiftshader" }),
  "Microsoft Basic Render Driver": adapter({ description: "Microsoft Basic Render Driver" }),
  "microsoft warp": adapter({ vendor: "microsoft", architecture: "warp" }),
};

for (const [name, fallback] of Object.entries(fallbacks)) {
  Deno.test(`"auto" takes no fallback adapter, "webgpu" does: ${name}`, () =>
    finding(() => Promise.resolve(fallback), async () => {
      const { device, told: [reason, ...more] } = await taken();
      assertEquals([device, more], ["wasm", []]);
      assertEquals(reason instanceof PembrokeError, true);
      assertEquals(reason.message, `webgpu: the adapter (${name}) is a software adapter`);

      const error = await assertRejects(
        () => createBackend({ device: "webgpu" }),
        DeviceLostError,
      );
      assertEquals(error.message, `webgpu: ${name} provides no device (not real)`);
    }));
}

Deno.test('"auto" takes a GPU, whose name may hold that of another driver', async () => {
  for (const description of ["NVIDIA GeForce RTX 4070", "AMD Radeon (RADV WARPED)", ""]) {
    const gpu = adapter({ isFallbackAdapter: false, description });
    await finding(() => Promise.resolve(gpu), async () => {
      const { device, told } = await taken();
      assertEquals(device, "wasm");
      // it was asked for a device, which no fallback adapter is
      const name = description || "unnamed";
      assertEquals(told.map(String), [
        `DeviceLostError: webgpu: ${name} provides no device (not real)`,
      ]);
    });
  }
});

Deno.test('"auto" goes on with Wasm where no adapter can be had', async () => {
  const failures: [() => unknown, string][] = [
    [() => Promise.resolve(null), "webgpu: this machine has no adapter"],
    [() => Promise.reject(new Error("lost\nit")), "webgpu: requesting an adapter failed (lost)"],
    [
      () => {
        throw new TypeError("not now");
      },
      "webgpu: requesting an adapter failed (not now)",
    ],
  ];
  for (const [requestAdapter, message] of failures) {
    await finding(requestAdapter, async () => {
      const { device, told } = await taken();
      assertEquals([device, told.map((reason) => reason.message)], ["wasm", [message]]);
      assertEquals(told[0] instanceof PembrokeError, true);
      const error = await assertRejects(() => createBackend({ device: "webgpu" }), PembrokeError);
      assertEquals(error.message, message);
    });
  }
});

Deno.test('"auto" tells nothing where the caller asks for no GPU', () =>
  finding(() => Promise.reject(new Error("asked for")), async () => {
    assertEquals(await taken({ device: "wasm" }), { device: "wasm", told: [] });
  }));
