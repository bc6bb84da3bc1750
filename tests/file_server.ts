/** Serves a folder over HTTP, as a web server or a CDN does. */

const repository = new URL("../", import.meta.url);
const types: Record<string, string> = {
  ts: "application/typescript",
  js: "text/javascript",
  json: "application/json",
  html: "text/html",
};

/** A file server on loopback. Paths under `/bare/` leave out the weights. */
export class FileServer implements AsyncDisposable {
  /** The requested paths. */
  readonly requested: string[] = [];
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    ({ url }) => this.#respond(new URL(url).pathname),
  );

  readonly #folder: URL;
  readonly #headers: Record<string, string>;

  /**
   * Starts the server.
   *
   * @param folder The folder to serve. Default: the repository.
   * @param headers Headers to add to each response.
   */
  constructor(folder = repository, headers: Record<string, string> = {}) {
    this.#folder = folder;
    this.#headers = headers;
  }

  /** Host and port, as in `--allow-net`. */
  readonly host: string = `127.0.0.1:${this.#server.addr.port}`;

  async #respond(path: string): Promise<Response> {
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
