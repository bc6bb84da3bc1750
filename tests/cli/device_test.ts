/** The fallback to Wasm, with failures that a GPU would report. */

import { Device } from "../../src/cli/device.ts";
import { type Options, readArgs } from "../../src/cli/args.ts";
import { DeviceLostError } from "../../src/errors.ts";
import { assertEquals, assertRejects } from "../assert.ts";

const options = readArgs(["serve", "-q"]) as Options;
const lost = () => Promise.reject(new DeviceLostError("the device was lost"));

Deno.test("Device repeats work on Wasm when the GPU is lost", async () => {
  let prepared = 0, calls = 0;
  using device = await Device.open(options, 1, () => Promise.resolve(void prepared++));
  const first = device.backend;
  assertEquals(await device.run(() => ++calls === 1 ? lost() : Promise.resolve("done")), "done");
  assertEquals([prepared, calls, device.backend === first, device.backend.device], [
    2,
    2,
    false,
    "wasm",
  ]);
  assertEquals(await device.run(() => Promise.resolve("again")), "again");
  assertEquals(prepared, 2);
});

Deno.test("Device recovers when the weights cannot be read after a lost GPU", async () => {
  let prepared = 0;
  const prepare = () =>
    ++prepared === 2 ? Promise.reject(new Error("no such file")) : Promise.resolve();
  using device = await Device.open(options, 1, prepare);
  let calls = 0;
  const work = () => ++calls === 1 ? lost() : Promise.resolve("done");
  await assertRejects(() => device.run(work), Error, "no such file");
  assertEquals(await device.run(work), "done");
});

Deno.test("Device reports a lost GPU with --backend webgpu, and other errors", async () => {
  using device = await Device.open({ ...options }, 1, () => Promise.resolve());
  await assertRejects(() => device.run(() => Promise.reject(new Error("other"))), Error, "other");
});
