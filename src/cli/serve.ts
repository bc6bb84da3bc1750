/** `cli.ts serve`: classifies photos over HTTP. */

import { createBackend } from "../backend/mod.ts";
import { PembrokeError } from "../errors.ts";
import { DecodePool } from "../image/threads/pool.ts";
import { PhotoService } from "../serve/mod.ts";
import type { Options } from "./args.ts";
import { loadWeights } from "./classify.ts";
import { selectModel } from "./model.ts";
import { complain, note } from "./terminal.ts";
import { lineOf } from "./errors.ts";

/** Serves until SIGINT or SIGTERM, finishes accepted requests, and returns the exit code. */
export async function serve(options: Options): Promise<number> {
  const { host: hostname, port, quiet } = options;
  using backend = await createBackend({ device: options.backend });
  using selected = await selectModel(options);
  await loadWeights(selected, backend, options);
  using decoders = new DecodePool(navigator.hardwareConcurrency, selected.model.preprocessing);
  const service = new PhotoService(selected.model, {
    residentBytes: () => Deno.memoryUsage().rss,
    async decode(bytes, options) {
      const { values: input, ...rest } = await decoders.decode(bytes, options);
      return { ...rest, input };
    },
    onError: (error) => complain(lineOf(error)),
  });
  const onListen = ({ port }: Deno.NetAddr) => {
    const url = `http://${hostAndPort(hostname, port)}/`;
    if (!quiet) note(`listening on ${url}; try: curl -F photo=@photo.jpg ${url}`);
  };
  const server = listen({ hostname, port, onListen }, (request) => service.fetch(request));

  const stop = () => {
    // so that a second signal kills the process
    signals.forEach((signal) => Deno.removeSignalListener(signal, stop));
    if (!quiet) note("stopping: finishing accepted requests");
    // only then: shutdown() aborts requests whose bodies are still arriving
    void service.close().then(() => server.shutdown());
  };
  signals.forEach((signal) => Deno.addSignalListener(signal, stop));
  await server.finished;
  return 0;
}

const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

function listen(
  options: Deno.ServeTcpOptions,
  handler: (request: Request) => Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve(options, handler);
  } catch (error) {
    const { hostname = "", port = 0 } = options;
    const reason = error instanceof Deno.errors.AddrInUse
      ? "address in use; choose another port with --port"
      : error instanceof Deno.errors.AddrNotAvailable
      ? "this machine does not have that address"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied by the system"
      : undefined;
    if (!reason) throw error;
    const address = hostAndPort(hostname, port);
    throw new PembrokeError(`cannot listen on ${address}: ${reason}`, { cause: error });
  }
}

/** An address as in a URL; IPv6 in brackets. */
function hostAndPort(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
