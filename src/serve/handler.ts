/**
 * An HTTP handler that classifies a posted photo, for servers and edge runtimes.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkOptions } from "../options.ts";
import { handlerOptionNames, type PhotoHandlerOptions } from "./handler_options.ts";
import { PhotoHandler } from "./photo_handler.ts";

/**
 * Creates a handler that classifies a posted photo. The photo is the body, sent with an image content
 * type, or a file in a form. `?top=3` asks for three classes. The response is JSON:
 *
 *     { "model": "resnet-tiny", "width": 451, "height": 300,
 *       "predictions": [{ "index": 4, "wnid": "n02123045", "label": "tabby", "probability": 0.9 }],
 *       "warnings": [] }
 *
 * Errors are `{ "error": "…" }` with status 400 (no photo), 405 (not a POST), 408 (too slow), 413 (too
 * many bytes or pixels), 415 (not an image), 422 (damaged), 500, or 503 with Retry-After (too many
 * requests at once, or the model takes too long to load). A 500 says no more than "unexpected error":
 * see `onError`.
 *
 * A photo whose client has disconnected is dropped. The runtime has to report that with the request's
 * `signal`.
 *
 * @throws {ArgumentError} When an option is invalid.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { loadModel } from "../models/mod.ts";
 * import { photoHandler } from "./handler.ts";
 *
 * using backend = await createBackend();
 * const handler = photoHandler({ load: () => loadModel({ backend }) });
 * const body = await Deno.readFile("tests/photos/coffee.jpg");
 * const headers = { "content-type": "image/jpeg" };
 * const request = new Request("http://localhost/", { method: "POST", body, headers });
 * const { predictions } = await (await handler(request)).json();
 * console.log(predictions[0].label); // espresso
 * ```
 */
export function photoHandler(
  options: PhotoHandlerOptions,
): (request: Request) => Promise<Response> {
  checkOptions("photoHandler", options, ["load", "loadMs", ...handlerOptionNames]);
  if (typeof options.load !== "function") {
    throw new ArgumentError("photoHandler", "load", options.load, "a function");
  }
  return new PhotoHandler("photoHandler", options).handle;
}
