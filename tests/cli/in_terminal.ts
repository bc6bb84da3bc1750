/** Runs commands in a terminal. */

import { shellQuote } from "../../src/cli/command_line.ts";
import { needsTerminal } from "../needs.ts";
import { shell } from "./run.ts";

/** What tests need that call {@linkcode inTerminal}. */
export const terminal = await needsTerminal();

/**
 * Runs a shell command in a terminal.
 *
 * @returns The exit code, and what both streams printed.
 */
export async function inTerminal(
  line: string,
  env: Record<string, string> = {},
): Promise<{ readonly code: number; readonly screen: string }> {
  const { code, stdout } = await shell(`script -qec ${shellQuote(line)} /dev/null`, {
    env: { SHELL: "/bin/sh", TERM: "xterm", COLORTERM: "", ...env },
  });
  return { code, screen: stdout };
}
