/** Which adapters "auto" accepts; none of them is real. */

import { type BackendOptions, createBackend } from "../../src/backend/mod.ts";
import { DeviceLostError, PembrokeError } from "../../src/errors.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import { withGpuFiles } from "../webgpu.ts";

/** Runs a test with a fake `requestAdapter()`. */
function withRequestAdapter(
  requestAdapter: () => unknown,
  run: () => Promise<void>,
): Promise<void> {
  return withGpuFiles(async () => {
    const gpu = { requestAdapter };
    Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
    try {
      await run();
    } finally {
      Reflect.deleteProperty(navigator, "gpu"); // uncovers the runtime's own again
    }
  });
}

/** A fake adapter with this info, which provides no device. */
function fakeAdapter(info: object, extra: object = {}) {
  const requestDevice = () => Promise.reject(new Error("not real"));
  return { info, features: new Set(), requestDevice, ...extra };
}

/** The device that "auto" selects, and the reasons it reports. */
async function createAuto(options: BackendOptions = {}) {
  const reasons: PembrokeError[] = [];
  const onFallback = (reason: PembrokeError) => void reasons.push(reason);
  using backend = await createBackend({ threads: 1, ...options, onFallback });
  return { device: backend.device, reasons };
}

/** Software adapters by their names in error messages. */
const softwareAdapters: Record<string, object> = {
  "declared software adapter": fakeAdapter({
    isFallbackAdapter: true,
    description: "declared software adapter",
  }),
  "older browser": fakeAdapter({ description: "older browser" }, {
    isFallbackAdapter: true,
  }),
  "unnamed": { ...fakeAdapter({}), info: undefined, isFallbackAdapter: true },
  "llvmpipe (LLVM 15.0.6, 256 bits)": fakeAdapter({
    isFallbackAdapter: false,
    description: "llvmpipe (LLVM 15.0.6, 256 bits)",
  }),
  "lavapipe": fakeAdapter({ device: "lavapipe" }),
  "softpipe": fakeAdapter({ description: "softpipe" }),
  "SwiftShader Device (Subzero)": fakeAdapter({ description: "SwiftShader Device (Subzero)" }),
  "google swiftshader": fakeAdapter({ vendor: "google", architecture: "swiftshader" }),
  "Microsoft Basic Render Driver": fakeAdapter({ description: "Microsoft Basic Render Driver" }),
  "microsoft warp": fakeAdapter({ vendor: "microsoft", architecture: "warp" }),
};

for (const [name, softwareAdapter] of Object.entries(softwareAdapters)) {
  Deno.test(`"auto" refuses a software adapter, "webgpu" accepts it: ${name}`, () =>
    withRequestAdapter(() => Promise.resolve(softwareAdapter), async () => {
      const { device, reasons: [reason, ...more] } = await createAuto();
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

Deno.test('"auto" accepts a GPU whose name contains that of a software driver', async () => {
  for (const description of ["NVIDIA GeForce RTX 4070", "AMD Radeon (RADV WARPED)", ""]) {
    const gpu = fakeAdapter({ isFallbackAdapter: false, description });
    await withRequestAdapter(() => Promise.resolve(gpu), async () => {
      const { device, reasons } = await createAuto();
      assertEquals(device, "wasm");
      // its error shows that a device was requested
      const name = description || "unnamed";
      assertEquals(reasons.map(String), [
        `DeviceLostError: webgpu: ${name} provides no device (not real)`,
      ]);
    });
  }
});

Deno.test('"auto" falls back to Wasm without an adapter', async () => {
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
    await withRequestAdapter(requestAdapter, async () => {
      const { device, reasons } = await createAuto();
      assertEquals([device, reasons.map((reason) => reason.message)], ["wasm", [message]]);
      assertEquals(reasons[0] instanceof PembrokeError, true);
      const error = await assertRejects(() => createBackend({ device: "webgpu" }), PembrokeError);
      assertEquals(error.message, message);
    });
  }
});

Deno.test("onFallback is not called if the caller asks for no GPU", () =>
  withRequestAdapter(() => Promise.reject(new Error("asked for")), async () => {
    assertEquals(await createAuto({ device: "wasm" }), { device: "wasm", reasons: [] });
  }));

Deno.test('"auto" falls back to Wasm if the code for WebGPU cannot be loaded', async () => {
  const [mod, webgpu] = ["mod.ts", "webgpu.ts"].map((name) =>
    new URL(`../../src/backend/${name}`, import.meta.url).href
  );
  const source = `const adapter = { info: { description: "a GPU" }, features: new Set() };
const gpu = { requestAdapter: () => Promise.resolve(adapter) };
Object.defineProperty(navigator, "gpu", { value: gpu });
const { createBackend } = await import(${JSON.stringify(mod)});
let message;
const backend = await createBackend({ threads: 1, onFallback: (e) => message = e.message });
console.log(backend.device, message);`;
  const map = JSON.stringify({ imports: { [webgpu]: `${webgpu}.missing` } });
  const args = [
    "run",
    "--quiet",
    `--import-map=data:application/json,${encodeURIComponent(map)}`,
    `data:text/javascript,${encodeURIComponent(source)}`,
  ];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const [output, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(output.startsWith("wasm webgpu: its code cannot be loaded ("), output + errors);
});
