/**
 * Errors that a request is answered with, as JSON: `{ "error": "…" }`.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";

/** A request that cannot be answered; the client sees the message. */
export class RequestError extends PembrokeError {
  /** The class's name. */
  override name = "RequestError";

  /**
   * Creates an error.
   *
   * @param status The HTTP status.
   * @param headers Response headers, such as `Allow` or `Retry-After`.
   */
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }

  /** The error as an HTTP response. */
  response(): Response {
    const { status, headers, message } = this;
    return Response.json({ error: message }, { status, headers });
  }
}

/** The error for a request above a limit on all of them. */
export function busy(): RequestError {
  return new RequestError(503, "server busy, retry later", { "retry-after": "1" });
}
