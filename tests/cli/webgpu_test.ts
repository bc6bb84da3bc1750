/** The command on a GPU, and what it does when that fails. */

import { assertEquals, assertMatch } from "../assert.ts";
import { StaticServer } from "../static_server.ts";
import { gpuInfo, testWithAdapter } from "../webgpu.ts";
import { cli, fixture, type Outcome, run, TempFolder, theError } from "./run.ts";

const photo = fixture("models/tiles.png");

/** In 32 bits: rounded activations would differ in the last digit. */
const exact = ["--precision", "f32"];

/** Runs the command in a Deno whose adapters pass for GPUs, with files of devices that say so, after `patch` changed it further. */
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

/** Loses the device with the submission of this number, counted from 0. */
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

testWithAdapter("the command computes on a GPU and says so", async () => {
  const { code, stdout, stderr } = await onGpu("", photo);
  assertEquals([code, stdout], [0, await predictions("--backend", "wasm")]);
  assertMatch(stderr, /^AlexNetTiny, bundled, webgpu \(.+\), 1 thread\n/);
});

testWithAdapter("the command goes on with Wasm when the GPU is lost", async () => {
  const right = await predictions("--backend", "wasm");
  for (const submission of [0, 1]) {
    const args = submission === 0 ? [photo] : [photo, photo];
    const { code, stdout, stderr } = await onGpu(losing(submission), ...args);
    assertEquals([code, stdout], [0, right.repeat(args.length)]);
    const warnings = stderr.split("\n").filter((line) => line.startsWith("warning: "));
    assertEquals(warnings.length, 1, stderr);
    assertMatch(warnings[0], /^warning: webgpu: .+: wasm computes instead$/);
  }
});

testWithAdapter(
  "weights that came over the network come once more when the GPU is lost",
  async () => {
    await using served = new StaticServer();
    const weights = `http://${served.host}/weights/alexnet_tiny.safetensors`;
    const { code, stdout, stderr } = await onGpu(losing(0), photo, "--weights", weights);
    assertEquals([code, stdout], [0, await predictions("--backend", "wasm")], stderr);
    assertEquals(served.requested.length, 2);
  },
);

testWithAdapter("the command says in which precision a GPU holds weights, and Wasm", async () => {
  const half = ["--precision", "f16"];
  assertMatch((await onGpu("", photo, ...half)).stderr, /^AlexNetTiny f16, bundled, webgpu \(/);
  const wasm = (await run([photo, "--backend", "wasm", ...half])).stderr;
  assertMatch(wasm, /^AlexNetTiny, bundled, wasm \(/);
});

testWithAdapter("a GPU that is lost is an error with --backend webgpu", async () => {
  const error = theError(await onGpu(losing(0), photo, "-q", "--backend", "webgpu"), 1);
  assertMatch(error, /^.*tiles\.png: webgpu: /);
});

testWithAdapter("the command goes on with Wasm when a shader does not compile", async () => {
  const broken = `const { createShaderModule } = GPUDevice.prototype;
GPUDevice.prototype.createShaderModule = function ({ code }) {
  return createShaderModule.call(this, { code: code.replace("fn main", "fn main main") });
};`;
  const { code, stdout, stderr } = await onGpu(broken, photo);
  assertEquals([code, stdout], [0, await predictions("--backend", "wasm")]);
  assertMatch(stderr, /^warning: webgpu: Shader .+: wasm computes instead$/m);
});

testWithAdapter("the command says with -v why there is no GPU", async () => {
  const none = `GPU.prototype.requestAdapter = () => Promise.resolve(null);`;
  const { code, stderr } = await onGpu(none, photo, "-v");
  assertEquals(code, 0);
  assertMatch(stderr, /^webgpu: this machine has no adapter: wasm computes\n/);
  const error = theError(await onGpu(none, photo, "--backend", "webgpu"), 1);
  assertEquals(error, "webgpu: this machine has no adapter");
});
