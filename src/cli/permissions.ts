/** Builds the command line that grants missing permissions. */

import { fileURLToPath } from "node:url";
import { findCatalogueEntry, urlOf } from "../hub/catalogue.ts";
import { cacheFolder, cacheVariables } from "../hub/cache.ts";
import type { Command, Options } from "./args.ts";
import { mirrorFromEnv, mirrorVariable } from "./cache.ts";
import { defaultName, shellQuote } from "./command_line.ts";
import { envIfGranted, isGranted } from "./errors.ts";
import { hostAndPort, isWebUrl } from "./inputs.ts";

/** Permissions by their kind: the values that they are limited to, none if they have no limits. */
export type Grants = ReadonlyMap<string, readonly string[]>;

/**
 * The permissions that were granted. Deno does not list the limits of those that have some, so that
 * these have only what decides which model the command uses: the cache, and where to download from.
 */
export function grantedPermissions(): Grants {
  const folder = cacheFolder(envIfGranted);
  // in a flag, a comma separates paths
  const paths = folder === undefined || folder.includes(",") ? [] : [folder];
  const limits: Readonly<Record<string, readonly string[]>> = {
    env: [...cacheVariables, mirrorVariable].filter((variable) =>
      isGranted({ name: "env", variable })
    ),
    read: paths.filter((path) => isGranted({ name: "read", path })),
    write: paths.filter((path) => isGranted({ name: "write", path })),
    net: [defaultHost()].filter((host) => isGranted({ name: "net", host })),
  };
  const grants = new Map<string, readonly string[]>();
  for (const name of ["env", "read", "write", "run", "sys", "ffi", "net"] as const) {
    const values = isGranted({ name }) ? [] : limits[name];
    if (isGranted({ name }) || values?.length > 0) grants.set(name, values);
  }
  return grants;
}

/** The host of the weights that are downloaded if there are none. */
function defaultHost(): string {
  const mirror = envIfGranted(mirrorVariable) ?? "";
  // an invalid mirror is reported when it is used
  return new URL(urlOf(findCatalogueEntry(defaultName)!, isWebUrl(mirror) ? mirror : undefined))
    .host;
}

/**
 * The message for a missing permission. It ends with the same command, and all flags that it needs.
 * Those that were given stay, because some decide what the command does: without --allow-env, it does
 * not use the models in the cache.
 *
 * @param script The command's own URL.
 * @param args The arguments as typed.
 * @param parsed The parsed arguments.
 * @param granted The permissions that were granted.
 */
export function permissionLine(
  { message }: Deno.errors.NotCapable,
  script: string,
  args: readonly string[],
  parsed: Command,
  granted: Grants = new Map(),
): string {
  const [, kind, what] = /^Requires (\w+) access(?: to "([^"]+)")?/.exec(message) ?? [];
  const { kinds, hosts } = requiredPermissions(parsed, script);
  const grants = new Map([...granted, ...Array.from(kinds, (kind) => [kind, []] as const)]);
  // the target of a redirect is not among the arguments
  if (kind === "net" && what) hosts.add(what.replace(/:(80|443)$/, ""));
  if (hosts.size > 0) {
    const limits = grants.get("net");
    grants.delete("net"); // to list it last
    grants.set("net", limits?.length === 0 ? [] : [...hosts.union(new Set(limits))]);
  } else if (kind) grants.set(kind, []);
  const flags = Array.from(
    grants,
    ([kind, values]) => `--allow-${kind}${values.length > 0 ? `=${values}` : ""}`,
  );
  const file = script.startsWith("file:") ? fileURLToPath(script) : script;
  const line = ["deno", "run", ...flags, file, ...args].map((word) => shellQuote(word)).join(" ");
  return `${message.replace(/, run again.*/s, "")}; run: ${line}`;
}

/** Kinds of permissions, and the network hosts, that a command needs. */
interface Permissions {
  readonly kinds: Set<string>;
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
  const { kinds, hosts } = permissions(
    [...reads ? ["read"] : [], ...writes ? ["write"] : []],
    files,
  );
  if (serve) hosts.add(hostAndPort(serve.host, serve.port));
  return { kinds, hosts };
}

/** Some kinds of permissions, and the hosts of the places that are URLs. */
function permissions(kinds: readonly string[], places: readonly string[] = []): Permissions {
  return {
    kinds: new Set(kinds),
    hosts: new Set(places.filter(isWebUrl).map((url) => new URL(url).host)),
  };
}
