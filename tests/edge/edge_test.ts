import { fileURLToPath } from "node:url";
import { createBackend, createModel, fit, ImageFolder, loadModel, saveModel } from "../../mod.ts";
import { decodeImage } from "../../src/image/mod.ts";
import { assert, assertAlmostEquals, assertEquals, assertMatch } from "../assert.ts";
import { hugePng } from "../image/fixtures.ts";
import { labelledPhotos } from "../cli/labelled_photos.ts";
import { TempFolder } from "../cli/run.ts";
import { needsNode, testWith } from "../needs.ts";
import { runTool } from "../tools.ts";
import { Server } from "../../bench/lib/server.ts";
import { randomAlexNetFile } from "./alexnet.ts";
import { coffee, jpegType, testHandler } from "./suite.ts";

/** The memory of an isolate on Cloudflare and other platforms. */
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

/** Makes the bundles on the first call. */
let bundles: Promise<unknown> | undefined;
const makeBundles = () => bundles ??= runTool("edge", folder.path);

/** The path of Cloudflare's runtime. */
let workerdPath: Promise<string> | undefined;
const findWorkerd = () => workerdPath ??= runTool("workerd");

async function serve(config: string, env: Record<string, string> = {}): Promise<Server> {
  await makeBundles();
  await folder.write("empty.capnp", empty);
  return await Server.start(
    (await findWorkerd()).trim(),
    ["serve", `${config}.capnp`, "--socket-addr=http=127.0.0.1:0", "--control-fd=1"],
    /"port":(\d+)/,
    { cwd: folder.path, env },
  );
}

/**
 * Tests that a worker fits into an isolate. The memory of an empty worker belongs to the runtime.
 */
async function testMemory(t: Deno.TestContext, server: Server): Promise<void> {
  await t.step({
    name: "uses less memory than an isolate has",
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      await using empty = await serve("empty");
      await (await empty.fetch("/")).body?.cancel();
      const used = await server.peakBytes() - await empty.peakBytes();
      assert(used < isolateBytes, `${used / 2 ** 20} MiB`);
    },
  });
}

Deno.test("the edge handler works in workerd with compiled modules", async (t) => {
  await using server = await serve("workerd");
  await testHandler(t, server);
  await t.step("classifies eight photos of the maximum size at once, again and again", async () => {
    const large = new Uint8Array(4 * 2 ** 20);
    large.set(coffee);
    const bodies = [large, large, large, hugePng(), large, large, large, large];
    for (let round = 0; round < 4; round++) {
      const answers = await Promise.all(bodies.map(async (body) => {
        const response = await server.fetch("/", { method: "POST", body, headers: jpegType });
        await response.body?.cancel();
        return response.status;
      }));
      assertEquals(answers, bodies.map((body) => body === large ? 200 : 413));
    }
  });
  await testMemory(t, server);
});

Deno.test("the edge handler works in workerd with AlexNet's weights from storage", async (t) => {
  const weights = randomAlexNetFile();
  const responses = [new Response("busy", { status: 503 }), new Response(weights)];
  await using storage = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => responses.shift() ?? new Response("requested too often", { status: 400 }),
  );
  const env = { WEIGHTS_URL: `http://127.0.0.1:${storage.addr.port}/` };
  await using server = await serve("workerd_storage", env);
  const post = () => server.fetch("/", { method: "POST", body: coffee, headers: jpegType });

  await t.step("requests weights again after a failure", async () => {
    const response = await post();
    assertEquals([response.status, await response.json()], [500, { error: "unexpected error" }]);
  });
  await t.step("gives concurrent photos the predictions of the library", async () => {
    using model = await loadModel({ weights, algorithm: "direct" });
    const [best] = await model.classify(await decodeImage(coffee));
    for (const response of await Promise.all([post(), post(), post()])) {
      const { model, predictions } = await response.json();
      assertEquals([model, predictions[0].label], ["alexnet", best.label]);
      assertAlmostEquals(predictions[0].probability, best.probability, 1e-5);
    }
  });
  await t.step("classifies many photos", async () => {
    for (let i = 0; i < 20; i++) assertEquals((await post()).status, 200);
  });
  await testMemory(t, server);
});

Deno.test("a SqueezeNet that learned new classes works in workerd", async (t) => {
  using backend = await createBackend({ device: "wasm" });
  using model = createModel("squeezenet1_0").init(backend);
  const files = await labelledPhotos(4);
  await fit(model, new ImageFolder(files, { preprocessing: model.preprocessing }));
  const weights = await saveModel(model, { dtype: "I8" });
  await using storage = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response(weights as Uint8Array<ArrayBuffer>),
  );
  const env = { WEIGHTS_URL: `http://127.0.0.1:${storage.addr.port}/` };
  await using server = await serve("workerd_storage", env);
  await t.step("gives photos the predictions of the library", async () => {
    using learned = await loadModel({ weights });
    for (const { bytes } of files) {
      const [best] = await learned.classify(await decodeImage(bytes));
      const body = new Blob([bytes as Uint8Array<ArrayBuffer>]);
      const headers = { "content-type": "image/png" };
      const response = await server.fetch("/", { method: "POST", body, headers });
      const { model, predictions } = await response.json();
      assertEquals([model, predictions[0].label], ["squeezenet1_0", best.label]);
      assertAlmostEquals(predictions[0].probability, best.probability, 1e-4);
    }
  });
  await testMemory(t, server);
});

Deno.test("the edge handler works in workerd with WebAssembly compiled from bytes", async (t) => {
  await using server = await serve("workerd_bytes");
  await testHandler(t, server);
});

const vercel = "the edge handler works where WebAssembly from bytes is forbidden, as on Vercel";
testWith(await needsNode(), vercel, async (t) => {
  await makeBundles();
  const context = fileURLToPath(new URL("vercel_context.mjs", import.meta.url));
  const args = ["--experimental-vm-modules", context, `${folder.path}/vercel.js`];
  await using server = await Server.start("node", args, /port (\d+)/);
  await t.step("requests weights again after a failure", async () => {
    const response = await server.fetch("/", { method: "POST", body: coffee, headers: jpegType });
    assertEquals([response.status, await response.json()], [500, { error: "unexpected error" }]);
    assertMatch(server.output.text, /resnet_tiny\.safetensors: 503\n/);
  });
  await testHandler(t, server);
});

Deno.test("the edge handler works in deno serve --parallel", async (t) => {
  const flags = ["--parallel", "--no-prompt", "--allow-read", "--host=127.0.0.1", "--port=0"];
  const args = ["serve", ...flags, `${root}examples/edge/deno.ts`];
  await using server = await Server.start(Deno.execPath(), args, /:(\d+)\//);
  await testHandler(t, server, 10 * 2 ** 20);
});
