/**
 * Uses the library and the command by URL, with an empty cache, in a temporary folder, and with the
 * permissions that the README lists.
 */

import { type Outcome, run, shell, TempFolder } from "./cli/run.ts";
import { assert, assertEquals } from "./assert.ts";
import { needsRegistry, testWith } from "./needs.ts";
import { Server } from "../bench/lib/server.ts";
import { StaticServer } from "./static_server.ts";
import { testWithAdapter } from "./webgpu.ts";

/** Runs a program. `HOST` in its source stands for the server of the library. */
async function runSource(
  source: string,
  { host, folder }: { host: string; folder: TempFolder },
): Promise<Outcome> {
  const script = await folder.write("program.ts", source.replaceAll("HOST", `http://${host}`));
  return await run([], {
    script,
    flags: ["--no-prompt", `--allow-import=${host}`],
    cwd: folder.path,
    env: {
      DENO_DIR: `${folder.path}/deno`,
      DENO_AUDIT_PERMISSIONS: `${folder.path}/permissions.jsonl`,
      XDG_RUNTIME_DIR: folder.path, // Mesa prints a warning without it
    },
  });
}

/**
 * The permissions requested since the last call, according to Deno's audit log, except for imports.
 */
async function requestedPermissions(folder: TempFolder): Promise<string[]> {
  const file = `${folder.path}/permissions.jsonl`;
  const text = await Deno.readTextFile(file).catch(() => "");
  await Deno.remove(file).catch(() => {});
  const lines = text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  return lines.filter(({ permission }) => permission !== "import")
    .map(({ permission, value }) => `${permission} ${value}`);
}

/** Asserts that the program succeeded without warnings, and returns its output. */
function outputOf({ code, stdout, stderr }: Outcome): string {
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

/** A program that trains a small network, and prints whether the loss decreased. */
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

Deno.test("importing the library by URL needs no permission and downloads each module once", async () => {
  await using folder = await TempFolder.make();
  await using server = new StaticServer();
  const from = { host: server.host, folder };

  outputOf(await runSource('import "HOST/mod.ts";', from));
  assertEquals(await requestedPermissions(folder), []);
  const first = server.requested.splice(0);
  assertEquals(first.filter((path) => /cli\b|\.wasm|\.safetensors/.test(path)), []);
  assert(first.length > 0, "nothing was downloaded: the cache was not empty");
  assertEquals(await Array.fromAsync(Deno.readDir(`${folder.path}/deno/npm`)), [], "no packages");
  assertEquals(new Set(first).size, first.length, "a module was requested twice");

  outputOf(await runSource('import "HOST/mod.ts";', from));
  assertEquals(server.requested, [], "a cached module was requested again");
});

Deno.test("layers, training and threads need no permission when imported by URL", async () => {
  await using folder = await TempFolder.make();
  await using server = new StaticServer();
  const from = { host: server.host, folder };

  const two = training("{ threads: 2 }");
  assertEquals(outputOf(await runSource(two, from)), "wasm 2 true\n");
  assertEquals(await requestedPermissions(folder), []);
});

testWithAdapter("WebGPU needs no permission when imported by URL", async () => {
  await using folder = await TempFolder.make();
  await using server = new StaticServer();
  const from = { host: server.host, folder };
  const outcome = await runSource(training('{ device: "webgpu" }'), from);
  assertEquals(outputOf(outcome), "webgpu 1 true\n");
  assertEquals(await requestedPermissions(folder), []);
});

testWith(await needsRegistry(), "the command by URL can be installed, and serves", async (t) => {
  await using folder = await TempFolder.make();
  await using library = new StaticServer();
  const { path } = folder, env = { DENO_DIR: `${path}/deno`, DENO_INSTALL_ROOT: `${path}/root` };
  const script = `http://${library.host}/cli.ts`, from = { cwd: path, env };
  const body = await Deno.readFile(new URL("photos/coffee.jpg", import.meta.url));
  await folder.write("project/package.json", "{}");
  await folder.write("project/a.jpg", body);

  await t.step({
    name: "once installed, it classifies a photo in a project with a package.json",
    ignore: Deno.build.os === "windows", // has no sh
    fn: async () => {
      outputOf(await shell(`deno install --quiet -g -A -n pembroke ${script}`, from));
      // The installed script runs whichever Deno is in the PATH.
      await Deno.mkdir(`${path}/bin`);
      await Deno.symlink(Deno.execPath(), `${path}/bin/deno`);
      const line = `cd project; PATH="$PWD/../bin:$PATH" ../root/bin/pembroke -q --jsonl a.jpg`;
      const { predictions } = JSON.parse(outputOf(await shell(line, from)));
      assertEquals(predictions[0].label, "espresso");
    },
  });

  const args = ["run", "--no-prompt", "--allow-net=127.0.0.1", script, "serve", "--port=0"];
  const listening = /listening on http:\/\/127\.0\.0\.1:(\d+)\//;
  await using server = await Server.start(Deno.execPath(), args, listening, from);
  const headers = { "content-type": "image/jpeg" };
  const response = await server.fetch("/", { method: "POST", body, headers });
  assertEquals((await response.json()).predictions[0].label, "espresso");
});
