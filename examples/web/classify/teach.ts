/** The section "Teach it". */

/// <reference lib="dom" />

import type { Client } from "./client.ts";
import type { TeachCalls } from "./teach_protocol.ts";

/** Fills the section. */
export function startTeach(_section: HTMLElement, _client: Client<TeachCalls>): void {}
