/**
 * The library and the command by URL: a Deno that has never downloaded anything, in a folder of its
 * own, with the permissions that the README names.
 */

import { type Outcome, run, TempFolder } from "./cli/run.ts";
import { assert, assertEquals } from "./assert.ts";
import { Server } from "./server.ts";
import { Served } from "./served.ts";
import { testWithAdapter } from "./webgpu.ts";

/** What a program of these lines does; `HOST` in them is where the library comes from. */
async function program(
  lines: string,
  { host, folder, flags = [] }: { host: string; folder: TempFolder; flags?: string[] },
): Promise<Outcome> {
  const script = await folder.write("program.ts", lines.replaceAll("HOST", `http://${host}`));
  return await run([], {
    script,
    flags: ["--no-prompt", `--allow-import=${host}`, ...flags],
    cwd: folder.path,
    env: {
      DENO_DIR: `${folder.path}/deno`,
      DENO_AUDIT_PERMISSIONS: `${folder.path}/asked.jsonl`,
      XDG_RUNTIME_DIR: folder.path, // without which Mesa complains
    },
  });
}

/** What was asked for since the last time, but for importing, as Deno wrote it down. */
async function asked(folder: TempFolder): Promise<string[]> {
  const file = `${folder.path}/asked.jsonl`;
  const text = await Deno.readTextFile(file).catch(() => "");
  await Deno.remove(file).catch(() => {});
  const lines = text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  return lines.filter(({ permission }) => permission !== "import")
    .map(({ permission, value }) => `${permission} ${value}`);
}

/** What it printed, when it had nothing to complain about. */
function printed({ code, stdout, stderr }: Outcome): string {
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

/** A program that trains a small network on a backend, and says whether it learned. */
const training = (options: string) => `
  import { Conv2d, createBackend, crossEntropy, Flatten, Linear, ReLU, Sequential, SGD }
    from "HOST/mod.ts";

  using backend = await createBackend(${options});
  using net = new Sequential([
    new Conv2d(1, 4, 3, { padding: 1 }), new ReLU(), new Flatten(), new Linear(4 * 5 * 5, 2),
  ]).init(backend, { seed: 1 }).train();
  using optimizer = new SGD(net, { lr: 0.1 });
  using x = backend.upload(Float32Array.from({ length: 100 }, (_, i) => i % 7), [4, 1, 5, 5]);
  const losses: number[] = [];
  for (let step = 0; step < 5; step++) {
    optimizer.zeroGrad();
    using logits = net.forward(x);
    const { loss, gradient } = crossEntropy(logits, Int32Array.of(0, 1, 0, 1));
    net.backwardParameters(gradient);
    optimizer.step();
    losses.push((await loss.read())[0]);
    loss.dispose();
    gradient.dispose();
  }
  console.log(backend.device, backend.threads, losses[4] < losses[0])`;

Deno.test("the library by URL: importing asks for nothing and loads what is needed, once", async () => {
  await using folder = await TempFolder.make();
  await using served = new Served();
  const from = { host: served.host, folder };

  printed(await program('import "HOST/mod.ts";', from));
  assertEquals(await asked(folder), []);
  const first = served.requested.splice(0);
  assertEquals(first.filter((path) => /cli\b|_wasm|\.wasm|\.safetensors/.test(path)), []);
  const npm = await Array.fromAsync(Deno.readDir(`${folder.path}/deno/npm`));
  assert(npm.length > 0, "no package was downloaded: the cache was not empty");
  assertEquals(new Set(first).size, first.length, "a module was asked for twice");

  printed(await program('import "HOST/mod.ts";', from));
  assertEquals(served.requested, [], "asked for again");
});

Deno.test("the library by URL: layers, training, threads and the bundled model", async () => {
  await using folder = await TempFolder.make();
  await using served = new Served();
  const from = { host: served.host, folder };

  const two = training("{ threads: 2 }");
  assertEquals(printed(await program(two, from)), "wasm 2 true\n");
  assertEquals(await asked(folder), []);

  const classifying = `
    import { AlexNet, createBackend } from "HOST/mod.ts";
    import { decodeImage } from "HOST/src/image/mod.ts";

    using backend = await createBackend({ threads: 1 });
    using model = await AlexNet.load({ backend });
    const photo = await fetch("HOST/tests/photos/coffee.jpg");
    const [best] = await model.classify(await decodeImage(await photo.bytes()));
    console.log(best.label, best.probability > 0.9);`;
  const { host } = served;
  const outcome = await program(classifying, { ...from, flags: [`--allow-net=${host}`] });
  assertEquals(printed(outcome), "espresso true\n");
  const other = (await asked(folder)).filter((one) => !/^net (http:\/\/)?127\.0\.0\.1:/.test(one));
  assertEquals(other, []);
});

testWithAdapter("the library by URL: WebGPU", async () => {
  await using folder = await TempFolder.make();
  await using served = new Served();
  const from = { host: served.host, folder };
  const outcome = await program(training('{ device: "webgpu" }'), from);
  assertEquals(printed(outcome), "webgpu 1 true\n");
  assertEquals(await asked(folder), []);
});

Deno.test("the command by URL classifies a photo, and serves", async () => {
  await using folder = await TempFolder.make();
  await using served = new Served();
  const script = `http://${served.host}/cli.ts`;
  const body = await Deno.readFile(new URL("photos/coffee.jpg", import.meta.url));
  const photo = await folder.write("a.jpg", body);
  const from = { cwd: folder.path, env: { DENO_DIR: `${folder.path}/deno` } };
  const flags = ["--no-prompt", "--allow-read", `--allow-net=${served.host}`];
  const outcome = await run(["-q", "--jsonl", photo], { script, flags, ...from });
  assertEquals(JSON.parse(printed(outcome)).predictions[0].label, "espresso");

  const args = ["run", "--no-prompt", "--allow-net=127.0.0.1", script, "serve", "--port=0"];
  const listening = /listening on http:\/\/127\.0\.0\.1:(\d+)\//;
  await using server = await Server.start(Deno.execPath(), args, listening, from);
  const headers = { "content-type": "image/jpeg" };
  const answer = await server.fetch("/", { method: "POST", body, headers });
  assertEquals((await answer.json()).predictions[0].label, "espresso");
});
