/**
 * Requests that are answered with an error: what went wrong as JSON, `{ "error": "…" }`.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";

/** Why a request is not done, for whoever sent it. */
export class Refusal extends PembrokeError {
  /** The class's name. */
  override name = "Refusal";

  /**
   * Says what the request should have been.
   *
   * @param status The HTTP status.
   * @param headers What goes with the status: `Allow`, `Retry-After`.
   */
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }

  /** The answer. */
  response(): Response {
    const { status, headers, message } = this;
    return Response.json({ error: message }, { status, headers });
  }
}
