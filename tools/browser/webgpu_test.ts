/** The suites of the WebGPU backend in headless Chromium, on SwiftShader. */

import { fileURLToPath } from "node:url";
import * as esbuild from "npm:esbuild@0.28.2";
import { executable, launch } from "./chromium.ts";

const cases = new URL("../../tests/cases/", import.meta.url);

const asked = Deno.env.get("PEMBROKE_WEBGPU");
if (!executable && asked === "required") {
  throw new Error("WebGPU is required here, but there is no Chromium");
}

/** Why the suites are left out. */
const reason = asked === "off" ? "PEMBROKE_WEBGPU is off" : executable ? "" : "there is none here";

/** The page's script, with all that it imports. */
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

/** Serves a page with the script, and the cases. */
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

Deno.test({
  name: `the suites of the WebGPU backend pass in Chromium${reason && ` (${reason})`}`,
  ignore: reason !== "",
  async fn(t) {
    await using server = serve(await bundle());
    const browser = await launch("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader");
    try {
      const page = await browser.newPage();
      page.on("pageerror", (error) => console.error(error));
      await page.goto(`http://127.0.0.1:${server.addr.port}/`);
      await page.waitForFunction("globalThis.run");
      for (const [i, name] of (await page.evaluate("names") as string[]).entries()) {
        await t.step(name, async () => {
          const error = await page.evaluate(`run(${i})`) as string | null;
          if (error !== null) throw new Error(error);
        });
      }
    } finally {
      await browser.close();
    }
  },
});
