/** Runs the tests of the WebGPU backend in headless Chromium, on SwiftShader. */

import { fileURLToPath } from "node:url";
import * as esbuild from "npm:esbuild@0.28.2";
import { executable, launch } from "./chromium.ts";
import { hasAdapter } from "./site.ts";

const cases = new URL("../../tests/cases/", import.meta.url);

/** Bundles the page's script. */
async function bundle(): Promise<string> {
  const result = await esbuild.build({
    entryPoints: [fileURLToPath(new URL("page.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    external: ["node:*"],
    plugins: [{
      name: "npm",
      setup: (build) =>
        build.onResolve({ filter: /^npm:/ }, ({ path }) => ({
          path: fileURLToPath(import.meta.resolve(path)),
        })),
    }],
  });
  await esbuild.stop();
  return result.outputFiles[0].text;
}

/** Serves a page with the script, and the test cases. */
function serve(script: string) {
  const files = [...Deno.readDirSync(cases)].map(({ name }) => ({ name }));
  const handler = async ({ url }: Request) => {
    const { pathname } = new URL(url);
    if (pathname === "/cases/") return Response.json(files);
    if (pathname === "/script.js") {
      return new Response(script, { headers: { "content-type": "text/javascript" } });
    }
    const file = files.find(({ name }) => pathname === `/cases/${name}`);
    if (file) return new Response(await Deno.readTextFile(new URL(file.name, cases)));
    const page = '<script type="module" src="/script.js"></script>';
    return new Response(page, { headers: { "content-type": "text/html" } });
  };
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
}

/** Opens the page in a browser. Tests are run by number. */
async function open() {
  if (!executable) throw new Error("WebGPU is required, but Chromium is not installed");
  const server = serve(await bundle());
  const browser = await launch("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader");
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(error));
  await page.goto(`http://127.0.0.1:${server.addr.port}/`);
  if (!await hasAdapter(page)) throw new Error("WebGPU is required, but Chromium has no adapter");
  await page.waitForFunction("globalThis.run");
  const names = await page.evaluate("names") as string[];
  const run = async (i: number) => await page.evaluate(`run(${i})`) as string | null;
  const close = async () => {
    await browser.close();
    await server.shutdown();
  };
  return { names, run, close };
}

// SwiftShader is a software adapter, so these tests run only if WebGPU is required.
if (Deno.env.get("PEMBROKE_WEBGPU") === "required") {
  const { names, run, close } = await open();
  for (const [i, name] of names.entries()) {
    Deno.test(`in Chromium, ${name}`, async () => {
      const error = await run(i);
      if (error !== null) throw new Error(error);
    });
  }
  Deno.test.afterAll(close);
}
