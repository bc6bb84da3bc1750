/**
 * Modules of Node's, which Deno and Bun have as well, without an import that pages and bundlers would
 * stumble over.
 *
 * @module
 */

/** What is used of Node's `process`. */
interface Process {
  readonly versions?: { readonly node?: string };
  getBuiltinModule?(name: string): unknown;
}

/** One of Node's modules; undefined where there are none. */
export async function nodeModule(name: `node:${string}`): Promise<unknown> {
  const { process } = globalThis as { readonly process?: Process };
  if (process?.getBuiltinModule) return process.getBuiltinModule(name);
  if ("Deno" in globalThis || !process?.versions?.node) return undefined;
  // Node before 20.16. The comments keep bundlers from looking for a file of that name.
  return await import(/* @vite-ignore */ /* webpackIgnore: true */ name).catch(() => undefined);
}
