/** The calls of "Teach it". */

/** See {@linkcode Calls}. */
// deno-lint-ignore ban-types -- none yet
export type TeachCalls = {};
