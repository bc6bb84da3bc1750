/**
 * Loads codecs in advance.
 *
 * @module
 */

/** Loads the codec of a format. It is cached, so that later images find it. */
export async function loadCodecs(format: "JPEG" | "WebP"): Promise<void> {
  if (format === "JPEG") await (await import("./jpeg.ts")).loadJpegCodec();
  else await (await import("./webp.ts")).loadWebpCodec();
}
