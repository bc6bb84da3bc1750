/** `cli.ts serve`: classifies photos over HTTP. */

import { PembrokeError } from "../errors.ts";
import { PhotoService } from "../serve/mod.ts";
import { oneLine } from "../io/system_error.ts";
import type { Options } from "./args.ts";
import { Decoders } from "./decoders.ts";
import { checkClassifies, openModel } from "./device.ts";
import { errorLine, isPermissionError } from "./errors.ts";
import { hostAndPort } from "./inputs.ts";
import { signals } from "./interrupts.ts";
import { note, printError } from "./terminal.ts";

/** Memory in bytes for all photos that are decoded at once. */
const defaultMemory = 512e6;
/** Maximum bytes of all bodies in memory. */
const maxUploadBytes = 128e6;

/** Time for accepted requests after a signal, in milliseconds. */
const drainMs = 8000;
/** Time for sending their responses. */
const flushMs = 1000;

/** Serves until SIGINT or SIGTERM, finishes accepted requests, and returns the exit code. */
export async function serve(options: Options): Promise<number> {
  const { host: hostname, port, maxPixels, maxBytes, cors } = options.serve!;
  const { memory = defaultMemory } = options.serve!, { quiet } = options;
  using opened = await openModel(options);
  const { device, selected } = opened;
  const { model } = selected;
  await checkClassifies(model);
  await device.prepare();
  using decoders = new Decoders(model.preprocessing, memory);
  const classifier = {
    type: model.type,
    preprocess: model.preprocess.bind(model),
    // a lost GPU is replaced by Wasm, and the batch repeated
    classifyBatch: (...args: Parameters<typeof model.classifyBatch>) =>
      device.run(() => model.classifyBatch(...args)),
  };
  const service = new PhotoService(classifier, {
    maxPixels,
    maxBytes,
    maxUploadBytes: Math.ceil(Math.min(memory / 4, maxUploadBytes)),
    cors,
    residentBytes: () => Deno.memoryUsage().rss,
    decode: (bytes, options) => decoders.decode(bytes, options),
    onError: (error) => printError(errorLine(error)),
  });
  const onListen = ({ port }: Deno.NetAddr) => {
    const url = `http://${hostAndPort(hostname, port)}/`;
    if (!quiet) note(`listening on ${url}; try: curl -F photo=@photo.jpg ${url}`);
  };
  using _ = withoutAbortNotice();
  const onError = (error: unknown) => {
    printError(errorLine(error));
    return Response.json({ error: "unexpected error" }, { status: 500 });
  };
  const server = listen({ hostname, port, onListen, onError }, (request) => service.fetch(request));
  await Promise.race([server.finished, untilSignal()]);
  if (!quiet) note("stopping: finishing accepted requests");
  // first, because shutdown() aborts requests whose bodies are still arriving
  await within(drainMs, service.close());
  // does not end while a client sends the rest of a body that was answered
  await within(flushMs, server.shutdown());
  return 0;
}

/** Waits for a signal. A second one kills the process. */
async function untilSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signals.forEach((signal) => Deno.addSignalListener(signal, resolve));
  await promise;
  signals.forEach((signal) => Deno.removeSignalListener(signal, resolve));
}

/** Waits for a promise, but no longer than this. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}

/**
 * Hides a notice that Deno prints with the first response: that a request's signal, which tells of
 * clients that disconnect, aborts after every response, too.
 */
function withoutAbortNotice(): Disposable {
  const { warn } = console;
  console.warn = (...args: unknown[]) => {
    if (!String(args[0]).startsWith("Deno.serve: request.signal aborts")) warn(...args);
  };
  return { [Symbol.dispose]: () => void (console.warn = warn) };
}

function listen(
  options: Deno.ServeTcpOptions,
  handler: (request: Request) => Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve(options, handler);
  } catch (error) {
    if (isPermissionError(error)) throw error;
    const { hostname = "", port = 0 } = options;
    const reason = error instanceof Deno.errors.AddrInUse
      ? "address in use; choose another port with --port"
      : error instanceof Deno.errors.AddrNotAvailable
      ? "this machine does not have that address"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied by the system"
      : oneLine((error as Error).message); // there is no such host
    const address = hostAndPort(hostname, port);
    throw new PembrokeError(`cannot listen on ${address}: ${reason}`, { cause: error });
  }
}
