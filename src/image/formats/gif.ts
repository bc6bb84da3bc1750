/**
 * GIF 87a and 89a: a screen descriptor, then blocks. Only the first frame is used, and what follows
 * it is not read.
 *
 * @module
 */

import { damaged, hasText, truncated, viewOf } from "./bytes.ts";
import type { Format } from "./format.ts";
import { readFirstFrame } from "./gif_frame.ts";

/** The GIF format. */
export const gif: Format = {
  name: "GIF",

  matches: (bytes) => hasText(bytes, 0, "GIF87a") || hasText(bytes, 0, "GIF89a"),

  readSize(bytes, file) {
    if (bytes.length < 13) throw truncated(file, "GIF");
    const view = viewOf(bytes), frame = readFirstFrame(bytes, file);
    if (frame.width === 0 || frame.height === 0) {
      throw damaged(file, "GIF", "its first frame has no pixels");
    }
    return { // as in viewers and Pillow, a first frame beyond the screen enlarges it
      width: Math.max(view.getUint16(6, true), frame.x + frame.width),
      height: Math.max(view.getUint16(8, true), frame.y + frame.height),
    };
  },

  readOrientation: () => 1, // GIF has no EXIF

  // An index and a colour for each pixel.
  memory: (_bytes, _file, { width, height }) => width * height * 4,

  check() {}, // decoding notices whatever is missing

  async decode(bytes, context) {
    const { decodeGif } = await import("../codecs/gif.ts");
    return decodeGif(bytes, context);
  },
};
