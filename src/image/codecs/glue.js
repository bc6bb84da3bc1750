// @ts-self-types="./glue.d.ts"
// JavaScript, because Deno looks for packages that TypeScript imports when it checks types: a project
// that does not have them could not be checked, nor tested.

/** The JavaScript of the package that decodes JPEG. */
export const jpegGlue = () => import("npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.js");

/** The JavaScript of the package that decodes WebP. */
export const webpGlue = () => import("npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.js");
