/** The types of `glue.js`; the packages' own are not to be had. */
export const jpegGlue: () => Promise<{ default: unknown }>;
export const webpGlue: typeof jpegGlue;
