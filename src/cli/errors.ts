/** What an error becomes on the command line: one line, and how the command exits. */

import { fileURLToPath } from "node:url";
import { PembrokeError } from "../errors.ts";

/** The command was called wrongly. */
export class UsageError extends PembrokeError {
  override name = "UsageError";
}

/** Deno was started without a permission that is needed. */
export function isPermissionError(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable;
}

/** The one line that says what went wrong. */
export function lineOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n")[0];
}

/**
 * What to type instead, when a permission was missing: the same command with all that it needs.
 *
 * @param script The command's own URL.
 * @param args The arguments, to be repeated.
 * @param urls The URLs among them.
 */
export function permissionLine(
  error: unknown,
  script: string,
  args: readonly string[],
  urls: readonly URL[],
): string {
  const line = lineOf(error);
  const hosts = new Set(urls.map((url) => url.host));
  const redirected = /net access to "([^"]+)"/.exec(line)?.[1].replace(/:(80|443)$/, "");
  if (redirected) hosts.add(redirected);
  const net = hosts.size > 0 ? [`--allow-net=${[...hosts].join(",")}`] : [];
  const file = script.startsWith("file:") ? fileURLToPath(script) : script;
  const command = ["deno", "run", "--allow-read", ...net, file, ...args].map(quoted).join(" ");
  const [what] = line.split(", ");
  return `${what}; run: ${command}`;
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
