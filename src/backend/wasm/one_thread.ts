/**
 * The builds for one thread. They are compiled when this module is loaded, because edge runtimes
 * forbid it later. The bundle for pages loads one of them when it is needed (tools/builds.ts).
 */

import { type Build, compile } from "./binary.ts";
import relaxed from "./generated/relaxed.ts";
import simd from "./generated/simd.ts";

/**
 * The fastest build that this engine supports. Undefined where compiling is forbidden, and in
 * pages, which have to load it.
 */
export const fastestBuild: Build | undefined = compile("relaxed simd", relaxed) ??
  compile("simd", simd);

/** Returns the fastest build that this engine supports. Undefined where compiling is forbidden. */
export function loadFastestBuild(): Promise<Build | undefined> {
  return Promise.resolve(fastestBuild);
}

/** Returns all builds that this engine supports, the fastest first. */
export function supportedBuilds(): Build[] {
  return [compile("relaxed simd", relaxed), compile("simd", simd)].filter((build) =>
    build !== undefined
  );
}
