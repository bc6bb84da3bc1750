/** Computes the calls of the page, in the worker. */

import { currentClassifier } from "./engine.ts";
import type { PageCalls } from "./page_calls.ts";
import type { Handlers } from "./protocol.ts";

export const pageHandlers: Handlers<PageCalls> = {
  classes: () => currentClassifier().classes.map(({ label }) => label),
};
