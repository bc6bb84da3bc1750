/** Computes the calls of "Teach it", in the worker. */

import type { Handlers } from "./protocol.ts";
import type { TeachCalls } from "./teach_protocol.ts";

export const teachHandlers: Handlers<TeachCalls> = {};
