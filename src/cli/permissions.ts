/** Builds the command line that grants missing permissions. */

import { fileURLToPath } from "node:url";
import { findCatalogueEntry } from "../hub/catalogue.ts";
import { mirrorFromEnv } from "./cache.ts";
import type { Command, Options } from "./args.ts";
import { isGranted } from "./errors.ts";
import { hostAndPort, isWebUrl } from "./inputs.ts";

/** The kinds of permissions that were granted without limits. */
export function grantedKinds(): string[] {
  return (["env", "read", "write", "run", "sys", "ffi"] as const)
    .filter((name) => isGranted({ name }));
}

/**
 * The message for a missing permission. It ends with the same command, and all flags that it needs.
 * Those that were given stay, because some decide what the command does: without --allow-env, it does
 * not use the models in the cache.
 *
 * @param script The command's own URL.
 * @param args The arguments as typed.
 * @param parsed The parsed arguments.
 * @param granted The kinds of permissions that were granted without limits.
 */
export function permissionLine(
  { message }: Deno.errors.NotCapable,
  script: string,
  args: readonly string[],
  parsed: Command,
  granted: readonly string[] = [],
): string {
  const [, kind, what] = /^Requires (\w+) access(?: to "([^"]+)")?/.exec(message) ?? [];
  const { flags: required, hosts } = requiredPermissions(parsed, script);
  const flags = new Set([...granted.map((kind) => `--allow-${kind}`), ...required]);
  // the target of a redirect is not among the arguments
  if (kind === "net" && what) hosts.add(what.replace(/:(80|443)$/, ""));
  if (hosts.size > 0) flags.add(`--allow-net=${[...hosts].join(",")}`);
  else if (kind) flags.add(`--allow-${kind}`);
  const file = script.startsWith("file:") ? fileURLToPath(script) : script;
  const line = ["deno", "run", ...flags, file, ...args].map((word) => shellQuote(word)).join(" ");
  return `${message.replace(/, run again.*/s, "")}; run: ${line}`;
}

/** Permission flags, and the network hosts that a command needs. */
interface Permissions {
  readonly flags: Set<string>;
  readonly hosts: Set<string>;
}

function requiredPermissions(parsed: Command, script: string): Permissions {
  switch (parsed.command) {
    case "help":
    case "version":
      return permissions([]);
    case "pull": {
      const { url = mirrorFromEnv() ?? findCatalogueEntry(parsed.name)?.url ?? script } = parsed;
      return permissions(["env", "read", "write"], [url]);
    }
    case "rm":
      return permissions(["env", "read", "write"]);
    case "models":
      return permissions(["env", "read"], [script]);
    case "convert":
    case "quantize":
      return permissions(["read", "write"], [parsed.from]);
    case "learn":
      // the cache has the default network, and keeps features
      return permissions(["env", "read", "write"], [parsed.from ?? script, parsed.base ?? "-"]);
    default:
      return modelPermissions(parsed, script);
  }
}

/** The permissions of a command that runs a model. */
function modelPermissions(parsed: Options, script: string): Permissions {
  const { inputs, weights, seed, filesFrom = "-", resume = "-", base = "-", classes = "-", serve } =
    parsed;
  // the bundled weights lie beside the script
  const weightsAt = weights ?? (seed === undefined ? script : "-");
  const files = [...inputs, filesFrom, resume, weightsAt, base, classes].filter((file) =>
    file !== "-" && !/^data:/i.test(file)
  );
  const { output = parsed.output, html } = parsed.explain ?? {};
  const writes = resume !== "-" || output !== undefined || html !== undefined;
  const reads = writes || // the permissions of a file that is replaced
    files.some((file) => !isWebUrl(file));
  const { flags, hosts } = permissions(
    [...reads ? ["read"] : [], ...writes ? ["write"] : []],
    files,
  );
  if (serve) hosts.add(hostAndPort(serve.host, serve.port));
  return { flags, hosts };
}

/** The flags of some kinds of permissions, and the hosts of the places that are URLs. */
function permissions(kinds: readonly string[], places: readonly string[] = []): Permissions {
  return {
    flags: new Set(kinds.map((kind) => `--allow-${kind}`)),
    hosts: new Set(places.filter(isWebUrl).map((url) => new URL(url).host)),
  };
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
