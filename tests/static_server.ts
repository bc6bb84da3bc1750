/** Serves a folder over HTTP, like a web server or a CDN. */

const repository = new URL("../", import.meta.url);
const types: Record<string, string> = {
  ts: "application/typescript",
  js: "text/javascript",
  json: "application/json",
  html: "text/html",
  css: "text/css",
  svg: "image/svg+xml",
};

/**
 * Serves a folder on localhost, by default the repository. Under `/bare/` the weights are missing.
 */
export class StaticServer implements AsyncDisposable {
  /** The paths of all requests so far. */
  readonly requested: string[] = [];
  /** Whether every request fails. */
  isDown = false;
  /** The paths of which only the first half arrives. */
  cut = /^$/;
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    ({ url }) => this.#respond(new URL(url).pathname),
  );
  /** Host and port, in the form that permissions use. */
  readonly host: string = `127.0.0.1:${this.#server.addr.port}`;
  readonly #folder: URL;
  readonly #headers: Record<string, string>;

  /** Starts the server. The headers are added to every response. */
  constructor(folder = repository, headers: Record<string, string> = {}) {
    this.#folder = folder;
    this.#headers = headers;
  }

  async #respond(path: string): Promise<Response> {
    this.requested.push(path);
    if (this.isDown) return new Response("the server is down", { status: 503 });
    const file = path.replace("/bare/", "/");
    const missing = file !== path && file.endsWith(".safetensors");
    const at = new URL(`.${file.replace(/\/$/, "/index.html")}`, this.#folder);
    const bytes = await Deno.readFile(at).catch(() => undefined);
    if (!bytes || missing) return new Response("no such file", { status: 404 });
    const type = types[at.pathname.split(".").at(-1)!] ?? "application/octet-stream";
    const sent = this.cut.test(path) ? bytes.subarray(0, bytes.length >> 1) : bytes;
    return new Response(sent, { headers: { "content-type": type, ...this.#headers } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
