/** The calls that the page makes, except those of "Teach it". */

/** See {@linkcode Calls}. */
export type PageCalls = {
  /** The names of the classes of the network in use. */
  classes: { takes: void; reports: never; returns: readonly string[] };
};
