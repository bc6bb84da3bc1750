/**
 * Reads the photo from a request: its body, or a file in a form.
 *
 * @module
 */

import { firstFile } from "./form.ts";
import { RequestError } from "./request_error.ts";
import type { Upload } from "./uploads.ts";

/** Accepted content types. */
const accept = "image/*, application/octet-stream, multipart/form-data";

/**
 * Checks the content type of a request before its body is read. Returns a function that finds the photo
 * in the body.
 *
 * @throws {RequestError} When the request holds no photo.
 */
export function photoReader(request: Request): (upload: Upload) => Uint8Array<ArrayBuffer> {
  const type = request.headers.get("content-type") ?? "";
  const [kind] = type.toLowerCase().split(/[;/]/, 1);
  const isForm = /^multipart\/form-data\s*;/i.test(type);
  if (!isForm && kind !== "image" && !/^application\/octet-stream\b/i.test(type)) {
    const problem = type === ""
      ? "missing content type"
      : `unsupported content type ${JSON.stringify(type.slice(0, 200))}`;
    const advice = 'send a photo with its type, such as "image/jpeg", or a form with a photo';
    throw new RequestError(415, `${problem}: ${advice}`, { accept });
  }
  return ({ bytes }) => {
    const photo = isForm ? onlyPart(firstFile(bytes, type)) : bytes;
    if (photo.length === 0) throw new RequestError(400, "the photo is empty");
    return photo;
  };
}

/** Moves a part of a buffer to a buffer of its own, and frees the rest. Decoders take whole buffers. */
function onlyPart(part: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, length } = part;
  if (!buffer.transfer) return part.slice();
  new Uint8Array(buffer).copyWithin(0, byteOffset, byteOffset + length);
  return new Uint8Array(buffer.transfer(length));
}
