/**
 * Lets pages of other origins post photos (CORS).
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";

/** Seconds for which a browser remembers the answer to a preflight request. */
const maxAge = 86_400;

/** Checks an origin such as "https://example.org", or "*" for any. */
export function checkOrigin(op: string, name: string, value: string): string {
  if (value === "*" || URL.canParse(value) && new URL(value).origin === value) return value;
  throw new ArgumentError(op, name, value, '"*" or an origin such as "https://example.org"');
}

/** Adds CORS headers to a handler's responses, and answers preflight requests. */
export function withCors(
  handler: (request: Request) => Promise<Response>,
  origin: string,
): (request: Request) => Promise<Response> {
  const shared = { "access-control-allow-origin": origin, ...origin !== "*" && { vary: "origin" } };
  return async (request) => {
    if (request.method === "OPTIONS" && request.headers.has("access-control-request-method")) {
      return new Response(null, {
        status: 204,
        headers: {
          ...shared,
          "access-control-allow-methods": "POST",
          "access-control-allow-headers": "content-type",
          "access-control-max-age": String(maxAge),
        },
      });
    }
    const response = await handler(request);
    for (const [name, value] of Object.entries(shared)) response.headers.set(name, value);
    response.headers.set("access-control-expose-headers", "retry-after");
    return response;
  };
}
