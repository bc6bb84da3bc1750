/** Builds the command line that grants missing permissions. */

import { fileURLToPath } from "node:url";
import { findCatalogueEntry } from "../hub/catalogue.ts";
import type { Options } from "./args.ts";
import type { LearnArgs } from "./args_learn.ts";
import type { WeightsArgs } from "./args_weights.ts";
import { isWebUrl } from "./inputs.ts";
import { mirrorFromEnv } from "./mirror.ts";

/** The arguments that decide which permissions a command needs. */
type CommandArgs =
  | WeightsArgs
  | LearnArgs
  | (
    & Pick<Options, "inputs" | "filesFrom" | "resume" | "output" | "weights" | "seed" | "classes">
    & Pick<Options, "base" | "explain">
    & { readonly command?: Options["command"] }
  );

/**
 * The message for a missing permission. It ends with the same command, and all flags that it needs.
 *
 * @param script The command's own URL.
 * @param args The arguments as typed.
 * @param parsed The parsed arguments.
 */
export function permissionLine(
  { message }: Deno.errors.NotCapable,
  script: string,
  args: readonly string[],
  parsed: CommandArgs,
): string {
  const [, kind, what] = /^Requires (\w+) access(?: to "([^"]+)")?/.exec(message) ?? [];
  const { flags, hosts } = requiredPermissions(parsed, script);
  // the target of a redirect is not among the arguments
  if (kind === "net" && what) hosts.add(what.replace(/:(80|443)$/, ""));
  if (hosts.size > 0) flags.add(`--allow-net=${[...hosts].join(",")}`);
  else if (kind) flags.add(`--allow-${kind}`);
  const file = script.startsWith("file:") ? fileURLToPath(script) : script;
  const line = ["deno", "run", ...flags, file, ...args].map((word) => shellQuote(word)).join(" ");
  return `${message.replace(/, run again.*/s, "")}; run: ${line}`;
}

/** The permission flags and network hosts that a command needs. */
function requiredPermissions(
  parsed: CommandArgs,
  script: string,
): { flags: Set<string>; hosts: Set<string> } {
  const flags = new Set<string>(), hosts = new Set<string>();
  switch (parsed.command) {
    case "pull":
    case "rm":
      ["--allow-env", "--allow-read", "--allow-write"].forEach((flag) => flags.add(flag));
      if (parsed.command === "pull") {
        const { url = mirrorFromEnv() ?? findCatalogueEntry(parsed.name)?.url ?? script } = parsed;
        hosts.add(new URL(url).host);
      }
      break;
    case "models":
      ["--allow-env", "--allow-read"].forEach((flag) => flags.add(flag));
      break;
    case "convert":
    case "quantize":
      ["--allow-read", "--allow-write"].forEach((flag) => flags.add(flag));
      if (isWebUrl(parsed.from)) hosts.add(new URL(parsed.from).host);
      break;
    case "learn":
      // the cache has the default network, and keeps features
      ["--allow-env", "--allow-read", "--allow-write"].forEach((flag) => flags.add(flag));
      for (const place of [parsed.from ?? script, parsed.base ?? "-"]) {
        if (isWebUrl(place)) hosts.add(new URL(place).host);
      }
      break;
    default: {
      const { inputs, weights, seed } = parsed;
      const { filesFrom = "-", resume = "-", base = "-", classes = "-" } = parsed;
      // the bundled weights lie beside the script
      const weightsAt = weights ?? (seed === undefined ? script : "-");
      const files = [...inputs, filesFrom, resume, weightsAt, base, classes].filter((file) =>
        file !== "-" && !/^data:/i.test(file)
      );
      if (files.some((file) => !isWebUrl(file))) flags.add("--allow-read");
      const { output = parsed.output, html } = parsed.explain ?? {};
      if (resume !== "-" || output !== undefined || html !== undefined) {
        flags.add("--allow-read"); // the permissions of a file that is replaced
        flags.add("--allow-write");
      }
      files.filter(isWebUrl).forEach((url) => hosts.add(new URL(url).host));
    }
  }
  return { flags, hosts };
}

/**
 * Quotes a word for a POSIX shell, if it needs quotes. On Windows, for PowerShell and cmd.
 *
 * @param os The operating system.
 */
export function shellQuote(word: string, os: typeof Deno.build.os = Deno.build.os): string {
  if (os === "windows") {
    if (/^[\w@+=:./\\-]+$/.test(word)) return word;
    // before a quote, \\ stands for one backslash
    const escaped = word.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, "$&$&");
    return `"${escaped}"`;
  }
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
