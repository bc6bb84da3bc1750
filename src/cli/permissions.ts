/** What to type when Deno was started without a permission that is needed. */

import { fileURLToPath } from "node:url";
import { findCatalogueEntry } from "../hub/catalogue.ts";
import type { Options } from "./args.ts";
import type { WeightsArgs } from "./args_weights.ts";
import { isWebUrl } from "./inputs.ts";

/** What was asked for, as far as permissions go. */
type Asked =
  | WeightsArgs
  | Pick<Options, "inputs" | "filesFrom" | "resume" | "weights" | "seed"> & {
    readonly command?: Options["command"];
  };

/**
 * The line for a missing permission: the same command again, with all that its arguments need.
 *
 * @param script The command's own URL.
 * @param args The arguments, to be repeated.
 * @param asked What they mean.
 */
export function permissionLine(
  { message }: Deno.errors.NotCapable,
  script: string,
  args: readonly string[],
  asked: Asked,
): string {
  const [, kind, what] = /^Requires (\w+) access(?: to "([^"]+)")?/.exec(message) ?? [];
  const { flags, hosts } = needs(asked, script);
  // not among the arguments: where one of them redirects to
  if (kind === "net" && what) hosts.add(what.replace(/:(80|443)$/, ""));
  if (hosts.size > 0) flags.add(`--allow-net=${[...hosts].join(",")}`);
  else if (kind) flags.add(`--allow-${kind}`);
  const file = script.startsWith("file:") ? fileURLToPath(script) : script;
  const line = ["deno", "run", ...flags, file, ...args].map(quoted).join(" ");
  return `${message.replace(/, run again.*/s, "")}; run: ${line}`;
}

/** What a command's arguments need: flags, and hosts to reach. */
function needs(asked: Asked, script: string): { flags: Set<string>; hosts: Set<string> } {
  const flags = new Set<string>(), hosts = new Set<string>();
  switch (asked.command) {
    case "pull":
    case "rm":
      ["--allow-env", "--allow-read", "--allow-write"].forEach((flag) => flags.add(flag));
      if (asked.command === "pull") {
        hosts.add(new URL(asked.url ?? findCatalogueEntry(asked.name)?.url ?? script).host);
      }
      break;
    case "models":
      ["--allow-env", "--allow-read"].forEach((flag) => flags.add(flag));
      break;
    case "convert":
      ["--allow-read", "--allow-write"].forEach((flag) => flags.add(flag));
      if (isWebUrl(asked.from)) hosts.add(new URL(asked.from).host);
      break;
    default: {
      const { inputs, filesFrom = "-", resume = "-", weights, seed } = asked;
      // the bundled weights lie beside the script
      const weightsAt = weights ?? (seed === undefined ? script : "-");
      const files = [...inputs, filesFrom, resume, weightsAt].filter((file) => file !== "-");
      if (files.some((file) => !isWebUrl(file))) flags.add("--allow-read");
      if (resume !== "-") flags.add("--allow-write");
      files.filter(isWebUrl).forEach((url) => hosts.add(new URL(url).host));
    }
  }
  return { flags, hosts };
}

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
