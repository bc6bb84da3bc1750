/** What to type when Deno was started without a permission that is needed. */

import { fileURLToPath } from "node:url";
import type { Options } from "./args.ts";
import { isWebUrl } from "./inputs.ts";

/**
 * The line for a missing permission: the same command again, with all that its arguments need.
 *
 * @param script The command's own URL.
 * @param args The arguments, to be repeated.
 * @param options What they mean.
 */
export function permissionLine(
  { message }: Deno.errors.NotCapable,
  script: string,
  args: readonly string[],
  { inputs, weights, seed }: Pick<Options, "inputs" | "weights" | "seed">,
): string {
  const [, kind, what] = /^Requires (\w+) access(?: to "([^"]+)")?/.exec(message) ?? [];
  const flags = new Set<string>();
  // the bundled weights lie beside the script
  const weightsAt = weights ?? (seed === undefined ? script : "-");
  const files = [...inputs, weightsAt].filter((file) => file !== "-");
  if (files.some((file) => !isWebUrl(file))) flags.add("--allow-read");
  const hosts = new Set(files.filter(isWebUrl).map((url) => new URL(url).host));
  // not among the arguments: where one of them redirects to
  if (kind === "net" && what) hosts.add(what.replace(/:(80|443)$/, ""));
  if (hosts.size > 0) flags.add(`--allow-net=${[...hosts].join(",")}`);
  else if (kind) flags.add(`--allow-${kind}`);
  const file = script.startsWith("file:") ? fileURLToPath(script) : script;
  const command = ["deno", "run", ...flags, file, ...args].map(quoted).join(" ");
  return `${message.replace(/, run again.*/s, "")}; run: ${command}`;
}

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
