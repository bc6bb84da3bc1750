/**
 * Runs programs in headless Chromium, each in a cross-origin isolated page of its own. All files come
 * from a server on this machine.
 *
 * @module
 */

import "npm:@litertjs/wasm-utils@2.5.3"; // only to find its folder: LiteRT.js imports it
import type { Browser } from "npm:playwright-core@1.56.1";
import { executable, launch } from "../../tools/browser/chromium.ts";
import { bundle, noCodecs } from "../../tools/bundle.ts";
import type { Network } from "../peers/network.ts";
import type { NetworkPeer, PeerOptions, Values } from "../peers/peer.ts";
import type { PageFunctions, PageProgram } from "./page.ts";

/** The folders of packages, by their path on the server. */
const folders: Readonly<Record<string, string>> = {
  "/onnxruntime/": import.meta.resolve(
    "npm:onnxruntime-web@1.30.0/ort-wasm-simd-threaded.wasm",
  ),
  "/tfjs/": import.meta.resolve("npm:@tensorflow/tfjs-core@4.22.0/dist/tf-core.fesm.min.js"),
  "/tfjs-wasm/": import.meta.resolve(
    "npm:@tensorflow/tfjs-backend-wasm@4.22.0/dist/tfjs-backend-wasm-simd.wasm",
  ),
  "/litert/": import.meta.resolve("npm:@litertjs/core@2.5.3/package.json"),
  "/litert-utils/": import.meta.resolve("npm:@litertjs/wasm-utils@2.5.3/package.json"),
};

const emptyModule = "data:text/javascript,export default {}";

/** Modules and files of packages. The adapters import them by the same names as in Deno. */
const imports = {
  "npm:onnxruntime-web@1.30.0": "/onnxruntime/ort.wasm.min.mjs",
  "npm:@tensorflow/tfjs-core@4.22.0": "/tfjs/tf-core.fesm.min.js",
  "@tensorflow/tfjs-core": "/tfjs/tf-core.fesm.min.js",
  "npm:@tensorflow/tfjs-backend-wasm@4.22.0": "/tfjs-wasm/tf-backend-wasm.fesm.min.js",
  "npm:@tensorflow/tfjs-backend-wasm@4.22.0/dist/tfjs-backend-wasm-simd.wasm":
    "/tfjs-wasm/tfjs-backend-wasm-simd.wasm",
  "npm:@litertjs/core@2.5.3": "/litert/dist/index.js",
  "npm:@litertjs/core@2.5.3/wasm/": "/litert/wasm/",
  "@litertjs/wasm-utils": "/litert-utils/dist/index.js",
  // tfjs-backend-wasm imports these everywhere, and uses them in Node only.
  ...Object.fromEntries(["fs", "path", "perf_hooks", "os"].map((name) => [name, emptyModule])),
};

const html = `<!doctype html>
<link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module" src="/page.js"></script>
`;

const isolation = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

const contentTypes: Readonly<Record<string, string>> = {
  js: "text/javascript",
  mjs: "text/javascript",
  wasm: "application/wasm",
};

/** A browser and the server of its pages. */
export class Chromium implements AsyncDisposable {
  readonly #browser: Browser;
  readonly #script: Uint8Array;
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    ({ url }) => this.#respond(new URL(url).pathname),
  );
  #images: Values = new Float32Array();

  private constructor(browser: Browser, script: Uint8Array) {
    this.#browser = browser;
    this.#script = script;
  }

  static async start(): Promise<Chromium> {
    if (!executable) throw new Error("Chromium is not installed");
    const script = await bundle({
      entry: new URL("page.ts", import.meta.url),
      replacements: [noCodecs],
      externals: [[/^npm:/, (specifier) => specifier]],
    });
    return new Chromium(await launch(), script);
  }

  /** The major version. */
  get version(): string {
    return this.#browser.version().split(".")[0];
  }

  /** Opens a page with a program. */
  async open(
    program: PageProgram,
    { name }: Network,
    seed: number,
    options: PeerOptions,
  ): Promise<NetworkPeer> {
    // A context of its own gives the page a process of its own.
    const context = await this.#browser.newContext();
    const page = await context.newPage();
    const call = <Name extends keyof PageFunctions>(
      name: Name,
      ...args: Parameters<PageFunctions[Name]>
    ) => {
      const source = `${name}(${args.map((arg) => JSON.stringify(arg)).join()})`;
      return page.evaluate(source) as ReturnType<PageFunctions[Name]>;
    };
    try {
      await page.goto(`http://127.0.0.1:${this.#server.addr.port}/`);
      await page.waitForFunction("globalThis.start");
      const peer = await call("start", program, name, seed, options);
      return {
        ...peer,
        forward: async (images, batch) => {
          this.#images = images;
          await call("forward", batch);
          return {
            run: () => call("run"),
            output: async () => Float32Array.from(await call("output")),
          };
        },
        dispose: () => context.close(),
      };
    } catch (error) {
      await context.close();
      throw error;
    }
  }

  async #respond(path: string): Promise<Response> {
    const respond = (body: BodyInit, type: string) =>
      new Response(body, { headers: { "content-type": type, ...isolation } });
    if (path === "/") return respond(html, "text/html");
    if (path === "/page.js") return respond(this.#script as BodyInit, "text/javascript");
    if (path === "/images") return respond(this.#images, "application/octet-stream");
    const folder = Object.keys(folders).find((prefix) => path.startsWith(prefix));
    const file = folder && new URL(path.slice(folder.length), folders[folder]);
    const bytes = file && await Deno.readFile(file).catch(() => undefined);
    if (!bytes) return new Response("no such file", { status: 404 });
    return respond(bytes, contentTypes[path.split(".").at(-1)!] ?? "application/octet-stream");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await this.#server.shutdown();
  }
}
