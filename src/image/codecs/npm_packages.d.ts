/** Types of `npm_packages.js`. */
export const packages: () => Promise<unknown>[];
