// Serves a Vercel edge function under the rules of Vercel's runtime: no eval, and no WebAssembly from
// bytes. Imports with `?module` give compiled modules. Run with node --experimental-vm-modules.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import vm from "node:vm";

const url = pathToFileURL(process.argv[2]);
const names =
  `AbortController AbortSignal Blob DecompressionStream File FormData Headers ReadableStream
  Request Response TextDecoder TextEncoder URL URLSearchParams atob clearTimeout console performance
  setTimeout`.split(/\s+/);
const globals = Object.fromEntries(names.map((name) => [name, globalThis[name]]));
let isFirst = true;
globals.fetch = async (target, { signal }) => {
  signal.throwIfAborted();
  if (!isFirst) return new Response(await readFile(new URL(target)));
  isFirst = false;
  return new Response("busy", { status: 503 });
};
const context = vm.createContext(globals, { codeGeneration: { strings: false, wasm: false } });

const bytes = await readFile(new URL("simd.wasm", url));
context.bytes = new Uint8Array(bytes);
try {
  vm.runInContext("new WebAssembly.Module(bytes)", context);
  throw new Error("this context compiles WebAssembly from bytes, so the test proves nothing");
} catch (error) {
  if (error.name !== "CompileError") throw error;
}
delete context.bytes;

const program = new vm.SourceTextModule(await readFile(url, "utf8"), {
  context,
  identifier: url.href,
  initializeImportMeta: (meta) => void (meta.url = url.href),
});
await program.link(async (specifier) => {
  if (!specifier.endsWith(".wasm?module")) throw new Error(`imports ${specifier}`);
  const module = new WebAssembly.Module(await readFile(new URL(specifier, url)));
  return new vm.SyntheticModule(["default"], function () {
    this.setExport("default", module);
  }, { context });
});
await program.evaluate();
const { config, default: handler } = program.namespace;
if (config.runtime !== "edge") throw new Error("not an edge function");

/** The request body as a stream. If it is cancelled, the rest is discarded, so that the client gets the response. */
function bodyOf(incoming) {
  return new ReadableStream({
    start(controller) {
      incoming.on("data", (chunk) => controller.enqueue(new Uint8Array(chunk)));
      incoming.on("end", () => controller.close());
    },
    cancel() {
      incoming.removeAllListeners("data").removeAllListeners("end").resume();
    },
  });
}

const server = createServer(async (incoming, outgoing) => {
  const { method, headers } = incoming;
  const body = method === "POST" ? bodyOf(incoming) : undefined;
  const target = `http://127.0.0.1${incoming.url}`;
  const response = await handler(new Request(target, { method, headers, body, duplex: "half" }));
  outgoing.writeHead(response.status, [...response.headers].flat());
  outgoing.end(new Uint8Array(await response.arrayBuffer()));
});
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
