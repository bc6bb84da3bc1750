/** The command on a GPU, and its fallback. */

import { assertEquals, assertMatch } from "../assert.ts";
import { StaticServer } from "../static_server.ts";
import { gpuInfo, testWithAdapter } from "../webgpu.ts";
import { cli, fixture, type Outcome, run, TempFolder, theError } from "./run.ts";

const photo = fixture("models/tiles.png");

/** int8 rounds activations, which would change the last digits. */
const exact = ["--precision", "f32"];

/** Runs the command with adapters and device files that look like a GPU's, after `patch`. */
async function onGpu(patch: string, ...args: string[]): Promise<Outcome> {
  await using folder = await TempFolder.make();
  const script = await folder.write(
    "patched.ts",
    `for (const [key, value] of Object.entries(${JSON.stringify(gpuInfo)})) {
  Object.defineProperty(GPUAdapterInfo.prototype, key, { get: () => value });
}
const { statSync } = Deno;
Deno.statSync = (path) => statSync(String(path).startsWith("/dev/") ? "/dev/null" : path);
${patch}
const { main } = await import(${JSON.stringify(new URL(`file://${cli}`).href)});
Deno.exit(await main(Deno.args));
`,
  );
  return await run([...exact, ...args], { script });
}

/** Loses the device at the submission with this index. */
const losing = (number: number) =>
  `let submissions = 0;
const { requestDevice } = GPUAdapter.prototype, { submit } = GPUQueue.prototype;
let device: GPUDevice;
GPUAdapter.prototype.requestDevice = async function () {
  return device = await requestDevice.call(this);
};
GPUQueue.prototype.submit = function (commands) {
  if (submissions++ === ${number}) device.destroy();
  return submit.call(this, commands);
};`;

const predictions = async (...args: string[]) =>
  (await run([photo, "-q", ...exact, ...args])).stdout;

testWithAdapter("the command uses a GPU and reports it", async () => {
  const { code, stdout, stderr } = await onGpu("", photo);
  assertEquals([code, stdout], [0, await predictions("--backend", "wasm")]);
  assertMatch(stderr, /^resnet-tiny, bundled, webgpu \(.+\), 1 thread\n/);
});

testWithAdapter("the command falls back to Wasm when the GPU is lost", async () => {
  const right = await predictions("--backend", "wasm");
  for (const submission of [0, 1]) {
    const args = submission === 0 ? [photo] : [photo, photo];
    const { code, stdout, stderr } = await onGpu(losing(submission), ...args);
    assertEquals([code, stdout], [0, right.repeat(args.length)]);
    const warnings = stderr.split("\n").filter((line) => line.startsWith("warning: "));
    assertEquals(warnings.length, 1, stderr);
    assertMatch(warnings[0], /^warning: webgpu: .+; falling back to wasm$/);
  }
});

testWithAdapter(
  "weights are downloaded again when the GPU is lost",
  async () => {
    await using server = new StaticServer();
    const weights = `http://${server.host}/weights/resnet_tiny.safetensors`;
    const { code, stdout, stderr } = await onGpu(losing(0), photo, "--weights", weights);
    assertEquals([code, stdout], [0, await predictions("--backend", "wasm")], stderr);
    assertEquals(server.requested.length, 2);
  },
);

testWithAdapter("the command reports the precision on a GPU and on Wasm", async () => {
  const half = ["--precision", "f16"];
  assertMatch((await onGpu("", photo, ...half)).stderr, /^resnet-tiny f16, bundled, webgpu \(/);
  const wasm = (await run([photo, "--backend", "wasm", ...half])).stderr;
  assertMatch(wasm, /^resnet-tiny, bundled, wasm \(/);
});

testWithAdapter("a GPU that is lost is an error with --backend webgpu", async () => {
  const error = theError(await onGpu(losing(0), photo, "-q", "--backend", "webgpu"), 1);
  assertMatch(error, /^.*tiles\.png: webgpu: /);
});

testWithAdapter("the command falls back to Wasm when a shader does not compile", async () => {
  const broken = `const { createShaderModule } = GPUDevice.prototype;
GPUDevice.prototype.createShaderModule = function ({ code }) {
  return createShaderModule.call(this, { code: code.replace("fn main", "fn main main") });
};`;
  const { code, stdout, stderr } = await onGpu(broken, photo);
  assertEquals([code, stdout], [0, await predictions("--backend", "wasm")]);
  assertMatch(stderr, /^warning: webgpu: Shader .+; falling back to wasm$/m);
});

testWithAdapter("-v prints why no GPU is used", async () => {
  const none = `GPU.prototype.requestAdapter = () => Promise.resolve(null);`;
  const { code, stderr } = await onGpu(none, photo, "-v");
  assertEquals(code, 0);
  assertMatch(stderr, /^webgpu: this machine has no adapter; using wasm\n/);
  const error = theError(await onGpu(none, photo, "--backend", "webgpu"), 1);
  assertEquals(error, "webgpu: this machine has no adapter");
});
