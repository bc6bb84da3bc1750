/** `cli.ts serve`: classifies photos that are posted, until it is told to stop. */

import { createBackend } from "../backend/mod.ts";
import { PembrokeError } from "../errors.ts";
import { DecodePool } from "../image/threads/pool.ts";
import { PhotoService } from "../serve/mod.ts";
import type { Options } from "./args.ts";
import { prepare } from "./classify.ts";
import { choose } from "./model.ts";
import { complain, note } from "./terminal.ts";
import { lineOf } from "./errors.ts";

/** Serves until a signal comes; what was accepted by then is answered. Returns the exit code. */
export async function serve(options: Options): Promise<number> {
  const { host: hostname, port, quiet } = options;
  using backend = await createBackend({ device: options.backend });
  using chosen = await choose(options);
  await prepare(chosen, backend, options);
  using decoders = new DecodePool(navigator.hardwareConcurrency, chosen.model.preprocessing);
  const service = new PhotoService(chosen.model, {
    residentBytes: () => Deno.memoryUsage().rss,
    async decode(bytes, options) {
      const { values: input, ...rest } = await decoders.decode(bytes, options);
      return { ...rest, input };
    },
    onError: (error) => complain(lineOf(error)),
  });
  const onListen = ({ port }: Deno.NetAddr) => {
    const url = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/`;
    if (!quiet) note(`listening on ${url}; post a photo: curl -F photo=@photo.jpg ${url}`);
  };
  const server = listen({ hostname, port, onListen }, (request) => service.fetch(request));

  const stop = () => {
    signals.forEach((signal) => Deno.removeSignalListener(signal, stop)); // the next one ends it
    if (!quiet) note("stopping: what is under way is answered");
    // shutting the server down breaks off bodies that are on their way
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
    const { hostname, port } = options;
    const reason = error instanceof Deno.errors.AddrInUse
      ? "something else listens there; --port takes another, 0 any that is free"
      : error instanceof Deno.errors.AddrNotAvailable
      ? "this machine has no such address"
      : error instanceof Deno.errors.PermissionDenied
      ? "the system does not permit it"
      : undefined;
    if (!reason) throw error;
    throw new PembrokeError(`port ${port} of ${hostname}: ${reason}`, { cause: error });
  }
}
