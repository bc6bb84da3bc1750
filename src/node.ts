/**
 * Loads built-in modules of Node, which Deno and Bun have, too. An import statement would break web
 * pages and bundlers.
 *
 * @module
 */

/** The part of Node's `process` that is used here. */
interface Process {
  readonly versions?: { readonly node?: string };
  getBuiltinModule?(name: string): unknown;
}

/** Loads a Node module; undefined where the runtime has none. */
export async function nodeModule(name: `node:${string}`): Promise<unknown> {
  const { process } = globalThis as { readonly process?: Process };
  if (!process?.versions?.node) return undefined; // the functions of Vercel's `process` throw
  if (process.getBuiltinModule) return process.getBuiltinModule(name);
  if ("Deno" in globalThis) return undefined;
  // For Node before 20.16. The comments keep bundlers from resolving the name.
  return await import(/* @vite-ignore */ /* webpackIgnore: true */ name).catch(() => undefined);
}
