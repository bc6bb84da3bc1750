/** A folder behind a URL, as a web server or a CDN serves it. */

const repository = new URL("../", import.meta.url);
const types: Record<string, string> = {
  ts: "application/typescript",
  js: "text/javascript",
  json: "application/json",
  html: "text/html",
};

/** A folder on loopback, the repository if none is named; under `/bare/` without the weights. */
export class Served implements AsyncDisposable {
  /** Paths that were asked for. */
  readonly requested: string[] = [];
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    ({ url }) => this.#answer(new URL(url).pathname),
  );

  readonly #folder: URL;
  readonly #headers: Record<string, string>;

  /** Starts serving, with these headers besides. */
  constructor(folder = repository, headers: Record<string, string> = {}) {
    this.#folder = folder;
    this.#headers = headers;
  }

  /** Host and port, as permissions name them. */
  readonly host: string = `127.0.0.1:${this.#server.addr.port}`;

  async #answer(path: string): Promise<Response> {
    this.requested.push(path);
    const file = path.replace("/bare/", "/");
    const missing = file !== path && file.endsWith(".safetensors");
    const at = new URL(`.${file.replace(/\/$/, "/index.html")}`, this.#folder);
    const bytes = await Deno.readFile(at).catch(() => undefined);
    if (!bytes || missing) return new Response("no such file", { status: 404 });
    const type = types[at.pathname.split(".").at(-1)!] ?? "application/octet-stream";
    return new Response(bytes, { headers: { "content-type": type, ...this.#headers } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
