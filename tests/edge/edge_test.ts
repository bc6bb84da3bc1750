import { fileURLToPath } from "node:url";
import { AlexNet } from "../../mod.ts";
import { decodeImage } from "../../src/image/mod.ts";
import { assert, assertAlmostEquals, assertEquals } from "../assert.ts";
import { TempFolder } from "../cli/run.ts";
import { needsNode, testWith } from "../needs.ts";
import { runTool } from "../tools.ts";
import { Server } from "../../bench/lib/server.ts";
import { noisyAlexNet } from "./alexnet.ts";
import { coffee, jpegType, suite } from "./suite.ts";

/** What an isolate of Cloudflare's and others' has. */
const isolateBytes = 128 * 2 ** 20;

const root = fileURLToPath(new URL("../../", import.meta.url));
const empty = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "empty", worker = (
    compatibilityDate = "2025-07-01",
    modules = [(name = "a.js", esModule = "export default { fetch: () => new Response() };")],
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "empty")],
);`;

const folder = await TempFolder.make();
Deno.test.afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});

/** Makes the bundles, once. */
let made: Promise<unknown> | undefined;
const bundles = () => made ??= runTool("edge", folder.path);

/** Where Cloudflare's runtime lies. */
let found: Promise<string> | undefined;
const workerd = () => found ??= runTool("workerd");

async function serve(config: string, env: Record<string, string> = {}): Promise<Server> {
  await bundles();
  await folder.write("empty.capnp", empty);
  return await Server.start(
    (await workerd()).trim(),
    ["serve", `${config}.capnp`, "--socket-addr=http=127.0.0.1:0", "--control-fd=1"],
    /"port":(\d+)/,
    { cwd: folder.path, env },
  );
}

/** In less memory than an isolate has; what a worker takes that does nothing is the runtime's. */
async function fits(t: Deno.TestContext, server: Server): Promise<void> {
  await t.step({
    name: "in less memory than an isolate has",
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      await using nothing = await serve("empty");
      await (await nothing.fetch("/")).body?.cancel();
      const taken = await server.peakBytes() - await nothing.peakBytes();
      assert(taken < isolateBytes, `${taken / 2 ** 20} MiB`);
    },
  });
}

Deno.test("the edge handler in workerd, with compiled modules", async (t) => {
  await using server = await serve("workerd");
  await suite(t, server);
  await fits(t, server);
});

Deno.test("the edge handler in workerd, with AlexNet's weights from storage", async (t) => {
  const weights = noisyAlexNet();
  const answers = [new Response("busy", { status: 503 }), new Response(weights)];
  await using storage = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => answers.shift() ?? new Response("once more", { status: 400 }),
  );
  const env = { WEIGHTS_URL: `http://127.0.0.1:${storage.addr.port}/` };
  await using server = await serve("workerd_alexnet", env);
  const post = () => server.fetch("/", { method: "POST", body: coffee, headers: jpegType });

  await t.step("weights that do not come are asked for again", async () => {
    const response = await post();
    assertEquals([response.status, await response.json()], [500, { error: "unexpected error" }]);
  });
  await t.step("photos at once wait for them, and get what the library says", async () => {
    using model = await AlexNet.load({ weights, algorithm: "direct" });
    const [best] = await model.classify(await decodeImage(coffee));
    for (const response of await Promise.all([post(), post(), post()])) {
      const { model, predictions } = await response.json();
      assertEquals([model, predictions[0].label], ["AlexNet", best.label]);
      assertAlmostEquals(predictions[0].probability, best.probability, 1e-5);
    }
  });
  await t.step("many photos", async () => {
    for (let i = 0; i < 20; i++) assertEquals((await post()).status, 200);
  });
  await fits(t, server);
});

Deno.test("the edge handler in workerd, compiling from bytes", async (t) => {
  await using server = await serve("workerd_bytes");
  await suite(t, server);
});

const vercel = "the edge handler in a context that compiles nothing from bytes, as Vercel's";
testWith(await needsNode(), vercel, async (t) => {
  await bundles();
  const context = fileURLToPath(new URL("vercel_context.mjs", import.meta.url));
  const args = ["--experimental-vm-modules", context, `${folder.path}/vercel.js`];
  await using server = await Server.start("node", args, /port (\d+)/);
  await suite(t, server);
});

Deno.test("the edge handler in deno serve --parallel", async (t) => {
  const flags = ["--parallel", "--no-prompt", "--allow-read", "--host=127.0.0.1", "--port=0"];
  const args = ["serve", ...flags, `${root}examples/edge/deno.ts`];
  await using server = await Server.start(Deno.execPath(), args, /:(\d+)\//);
  await suite(t, server, 10 * 2 ** 20);
});
