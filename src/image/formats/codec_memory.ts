/**
 * The memory that codecs take.
 *
 * @module
 */

/**
 * The bytes that a WebAssembly codec takes at most.
 *
 * It keeps the file and RGBA pixels in its own memory, which grows by up to a quarter more than it
 * needs, and never shrinks. A copy of the pixels becomes the RGB image.
 */
export function wasmMemory(pixels: number, fileBytes: number): number {
  return 9 * pixels + fileBytes;
}

/**
 * The bytes that the runtime's decoder takes at most: copies of the file, the bitmap, the canvas, the
 * PNG that the canvas is exported as, and the RGB image.
 */
export function runtimeMemory(pixels: number, fileBytes: number): number {
  return 16 * pixels + 2 * fileBytes;
}
