/**
 * The photo in a request: its body, or a file in a form.
 *
 * @module
 */

import { release } from "../image/release.ts";
import { Refusal } from "./refusal.ts";

/** What a request may take. */
export interface BodyLimits {
  /** Bytes of the whole body. */
  readonly maxBytes: number;
  /** Milliseconds until the whole body must be here. */
  readonly maxMs: number;
}

/** What a photo may be sent as. */
const accept = "image/*, application/octet-stream, multipart/form-data";

/**
 * The bytes of a posted photo. A body that is too large is not read to its end.
 *
 * @throws {Refusal} When the request holds no photo, or too much.
 */
export async function readPhoto(
  request: Request,
  limits: BodyLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const type = request.headers.get("content-type") ?? "";
  const [kind] = type.toLowerCase().split(/[;/]/, 1);
  const form = /^multipart\/form-data\s*;/i.test(type);
  if (!form && kind !== "image" && !/^application\/octet-stream\b/i.test(type)) {
    const sent = type === "" ? "without a content type" : `as ${JSON.stringify(type)}`;
    const message = `the body was sent ${sent}, must be an image or a form with one`;
    throw new Refusal(415, message, { accept });
  }
  const bytes = await readBody(request, limits);
  const photo = form ? await fileOf(bytes, type) : bytes;
  if (photo.length === 0) throw new Refusal(400, "the photo is empty");
  return photo;
}

async function readBody(
  { headers, body }: Request,
  { maxBytes, maxMs }: BodyLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new Refusal(413, `the body is larger than ${maxBytes} bytes`);
  if (!body) return new Uint8Array(0);
  const length = Number(headers.get("content-length"));
  if (length > maxBytes) {
    body.cancel().catch(() => {});
    throw tooLarge();
  }

  // as long as it says, so that there is no second copy; what says nothing grows
  let bytes = new Uint8Array(length > 0 ? length : 0), filled = 0;
  const reader = body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    const late = new Refusal(408, `the body was not here after ${maxMs / 1000} s`);
    timer = setTimeout(() => reject(late), maxMs);
  });
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), deadline]);
      if (done) return bytes.subarray(0, filled);
      const end = filled + value.length;
      if (end > maxBytes) throw tooLarge();
      if (end > bytes.length) bytes = grown(bytes, Math.max(end, 2 * bytes.length));
      bytes.set(value, filled);
      release(value);
      filled = end;
    }
  } catch (error) {
    // nobody waits for it: the other side may be gone
    reader.cancel(error).catch(() => {});
    throw error instanceof Refusal ? error : new Refusal(400, "the body broke off");
  } finally {
    clearTimeout(timer);
  }
}

function grown(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(bytes);
  return larger;
}

/** The first file of a form. */
async function fileOf(
  body: Uint8Array<ArrayBuffer>,
  type: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const form = await new Response(body, { headers: { "content-type": type } }).formData()
    .catch(() => {
      throw new Refusal(400, "the form cannot be read");
    });
  for (const value of form.values()) {
    if (typeof value !== "string") return new Uint8Array(await value.arrayBuffer());
  }
  throw new Refusal(400, "the form holds no file");
}
