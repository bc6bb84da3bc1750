/** The types of `ahead.js`. */
export const packages: () => Promise<unknown>[];
