/**
 * Reads the photo from a request: its body, or a file in a form.
 *
 * @module
 */

import { release } from "../image/release.ts";
import { RequestError } from "./request_error.ts";

/** Limits on a request's body. */
export interface BodyLimits {
  /** Maximum size of the whole body in bytes. */
  readonly maxBytes: number;
  /** Maximum time to receive the whole body, in milliseconds. */
  readonly maxMs: number;
}

/** Accepted content types. */
const accept = "image/*, application/octet-stream, multipart/form-data";

/**
 * Returns the bytes of a posted photo. Stops reading when the body is too large.
 *
 * @throws {RequestError} If the request holds no photo, is too large or too slow.
 */
export async function readPhoto(
  request: Request,
  limits: BodyLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const type = request.headers.get("content-type") ?? "";
  const [kind] = type.toLowerCase().split(/[;/]/, 1);
  const isForm = /^multipart\/form-data\s*;/i.test(type);
  if (!isForm && kind !== "image" && !/^application\/octet-stream\b/i.test(type)) {
    const problem = type === ""
      ? "missing content type"
      : `unsupported content type ${JSON.stringify(type)}`;
    throw new RequestError(415, `${problem}: send an image, or a form with one`, { accept });
  }
  const bytes = await readBody(request, limits);
  const photo = isForm ? await firstFile(bytes, type) : bytes;
  if (photo.length === 0) throw new RequestError(400, "the photo is empty");
  return photo;
}

async function readBody(
  { headers, body }: Request,
  { maxBytes, maxMs }: BodyLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new RequestError(413, `request body larger than ${maxBytes} bytes`);
  if (!body) return new Uint8Array(0);
  const length = Number(headers.get("content-length"));
  if (length > maxBytes) {
    body.cancel().catch(() => {});
    throw tooLarge();
  }

  // allocated once if the length is known, grown otherwise
  let bytes = new Uint8Array(length > 0 ? length : 0), filled = 0;
  const reader = body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    const timeout = new RequestError(408, `request body timed out after ${maxMs / 1000} s`);
    timer = setTimeout(() => reject(timeout), maxMs);
  });
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), deadline]);
      if (done) return bytes.subarray(0, filled);
      const end = filled + value.length;
      if (end > maxBytes) throw tooLarge();
      if (end > bytes.length) bytes = resized(bytes, Math.max(end, 2 * bytes.length));
      bytes.set(value, filled);
      release(value);
      filled = end;
    }
  } catch (error) {
    // not awaited: the client may be gone
    reader.cancel(error).catch(() => {});
    throw error instanceof RequestError ? error : new RequestError(400, "request body incomplete");
  } finally {
    clearTimeout(timer);
  }
}

function resized(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(bytes);
  return larger;
}

/** The first file of a form. */
async function firstFile(
  body: Uint8Array<ArrayBuffer>,
  type: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const form = await new Response(body, { headers: { "content-type": type } }).formData()
    .catch(() => {
      throw new RequestError(400, "malformed form data");
    });
  for (const value of form.values()) {
    if (typeof value !== "string") return new Uint8Array(await value.arrayBuffer());
  }
  throw new RequestError(400, "the form has no file");
}
