/**
 * The library and the command by URL: a Deno that has never downloaded anything, in a folder of its
 * own, with the permissions that the README names.
 */

import { type Outcome, run, shell, TempFolder } from "./cli/run.ts";
import { assert, assertEquals } from "./assert.ts";
import { needsRegistry, testWith } from "./needs.ts";
import { Server } from "../bench/lib/server.ts";
import { FileServer } from "./file_server.ts";
import { testWithAdapter } from "./webgpu.ts";

/** What a program of these lines does; `HOST` in them is where the library comes from. */
async function program(
  lines: string,
  { host, folder }: { host: string; folder: TempFolder },
): Promise<Outcome> {
  const script = await folder.write("program.ts", lines.replaceAll("HOST", `http://${host}`));
  return await run([], {
    script,
    flags: ["--no-prompt", `--allow-import=${host}`],
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
  await using served = new FileServer();
  const from = { host: served.host, folder };

  printed(await program('import "HOST/mod.ts";', from));
  assertEquals(await asked(folder), []);
  const first = served.requested.splice(0);
  assertEquals(first.filter((path) => /cli\b|\.wasm|\.safetensors/.test(path)), []);
  assert(first.length > 0, "nothing was downloaded: the cache was not empty");
  assertEquals(await Array.fromAsync(Deno.readDir(`${folder.path}/deno/npm`)), [], "no packages");
  assertEquals(new Set(first).size, first.length, "a module was asked for twice");

  printed(await program('import "HOST/mod.ts";', from));
  assertEquals(served.requested, [], "asked for again");
});

Deno.test("the library by URL: layers, training and threads ask for nothing", async () => {
  await using folder = await TempFolder.make();
  await using served = new FileServer();
  const from = { host: served.host, folder };

  const two = training("{ threads: 2 }");
  assertEquals(printed(await program(two, from)), "wasm 2 true\n");
  assertEquals(await asked(folder), []);
});

testWithAdapter("the library by URL: WebGPU", async () => {
  await using folder = await TempFolder.make();
  await using served = new FileServer();
  const from = { host: served.host, folder };
  const outcome = await program(training('{ device: "webgpu" }'), from);
  assertEquals(printed(outcome), "webgpu 1 true\n");
  assertEquals(await asked(folder), []);
});

testWith(await needsRegistry(), "the command by URL serves, and can be installed", async (t) => {
  await using folder = await TempFolder.make();
  await using served = new FileServer();
  const { path } = folder, env = { DENO_DIR: `${path}/deno`, DENO_INSTALL_ROOT: `${path}/root` };
  const script = `http://${served.host}/cli.ts`, from = { cwd: path, env };
  const body = await Deno.readFile(new URL("photos/coffee.jpg", import.meta.url));
  await folder.write("project/package.json", "{}");
  await folder.write("project/a.jpg", body);

  await t.step({
    name: "installed, it classifies a photo in somebody's project",
    ignore: Deno.build.os === "windows", // no sh there
    fn: async () => {
      printed(await shell(`deno install --quiet -g -A -n pembroke ${script}`, from));
      // what was installed starts the Deno that it finds
      await Deno.mkdir(`${path}/bin`);
      await Deno.symlink(Deno.execPath(), `${path}/bin/deno`);
      const line = `cd project; PATH="$PWD/../bin:$PATH" ../root/bin/pembroke -q --jsonl a.jpg`;
      const { predictions } = JSON.parse(printed(await shell(line, from)));
      assertEquals(predictions[0].label, "espresso");
    },
  });

  const args = ["run", "--no-prompt", "--allow-net=127.0.0.1", script, "serve", "--port=0"];
  const listening = /listening on http:\/\/127\.0\.0\.1:(\d+)\//;
  await using server = await Server.start(Deno.execPath(), args, listening, from);
  const headers = { "content-type": "image/jpeg" };
  const answer = await server.fetch("/", { method: "POST", body, headers });
  assertEquals((await answer.json()).predictions[0].label, "espresso");
});
