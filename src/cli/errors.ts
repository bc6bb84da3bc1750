/** Turns errors into one-line messages. */

import { FileError, PembrokeError } from "../errors.ts";
import { isSystemError, oneLine, systemReason } from "../io/system_error.ts";

/** Wrong usage of the command. */
export class UsageError extends PembrokeError {
  override name = "UsageError";
}

/** Whether Deno lacks a permission. */
export function isPermissionError(error: unknown): error is Deno.errors.NotCapable {
  return error instanceof Deno.errors.NotCapable;
}

/** Whether a permission is granted, without asking for it. */
export function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}

/** The flags that grant permissions, without those for permissions that are granted already. */
export function missingFlags(permissions: readonly Deno.PermissionDescriptor[]): string[] {
  const flags = permissions.filter((permission) => !isGranted(permission)).map((permission) =>
    permission.name === "net" ? `--allow-net=${permission.host}` : `--allow-${permission.name}`
  );
  return [...new Set(flags)];
}

/** What is missing, for messages: "needs --allow-env and --allow-read". */
export function needs(flags: readonly string[]): string {
  return `needs ${flags.join(" and ")}`;
}

/** An environment variable; undefined if it is not set, or may not be read without asking. */
export function envIfGranted(variable: string): string | undefined {
  return isGranted({ name: "env", variable }) ? Deno.env.get(variable) : undefined;
}

/** Converts an error of the operating system to one that names the file. Returns other errors unchanged. */
export function asFileError(name: string, error: unknown): unknown {
  if (isPermissionError(error) || !isSystemError(error)) return error;
  // Windows has a code, but no class, for names with characters that it does not allow
  const isNone = isMissing(error) || codeOf(error) === "ENOENT";
  const reason = isNone ? missing(name, "no such file") : reasonOf(error);
  return new FileError(name, reason, { cause: error });
}

/**
 * As {@linkcode asFileError}, for a file to write.
 *
 * @param os The operating system.
 */
export function asWriteError(
  name: string,
  error: unknown,
  os: typeof Deno.build.os = Deno.build.os,
): unknown {
  const reason = isMissing(error)
    ? missing(name, "its folder does not exist")
    : error instanceof Deno.errors.PermissionDenied
    ? `not writable (file permissions${os === "windows" ? ", or another program uses it" : ""})`
    : codeOf(error) === "ENOENT"
    ? "is not a name that the system allows"
    : undefined;
  return reason === undefined
    ? asFileError(name, error)
    : new FileError(name, reason, { cause: error });
}

function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

function codeOf(error: unknown): string | undefined {
  return (error as { readonly code?: string }).code;
}

/** The reason why there is no file with a name. */
function missing(name: string, otherwise: string): string {
  if (/^https?:/i.test(name)) return "is a URL, must be a path";
  // Deno replaces what it cannot decode, and then finds no such file
  return name.includes("\ufffd") ? `${otherwise}; if its name is not UTF-8, rename it` : otherwise;
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.PermissionDenied) return "not readable (file permissions)";
  if (codeOf(error) === "EISDIR") return "is a folder";
  return systemReason(error instanceof Error ? error.message : String(error));
}

/** Advice to programs at the end of the library's messages, and the same advice for users of the command. */
const advice: readonly (readonly [RegExp, string])[] = [
  [
    /^Trainer: (the loss is \S+) in step \d+; lower the learning rate or set clipNorm$/,
    "$1 in fine-tuning; leave out --fine-tune, or start from other weights with --from",
  ],
  [
    /^fit: (no weight decay gives a finite loss); pass smaller weightDecays$/,
    "$1; start from other weights with --from",
  ],
  [/, or the weight decay is too large$/, "; start from other weights with --from"],
  [
    /: pass `model`, /,
    "; if it is a known network, name it with --model; otherwise use other weights, ",
  ],
  [/: pass it as files: \{ .* \}$/, "; download both into one folder, and pass the path"],
  [/: use forward\(\) or outputsOf\(\)$/, "; use another network"],
  [/(; make Linear or Sigmoid its last layer), or use forward\(\)$/, "$1"],
  [
    /; (use forward\(\)|pass the names of two classes)$/,
    "; pass --classes FILE with the names of two classes",
  ],
  [/; use saliency$/, "; use --method saliency"],
];

/** The message of an error, on one line. Unexpected errors are bugs, and include their location. */
export function errorLine(error: unknown): string {
  if (!(error instanceof Error)) return `unexpected ${error}; please report this`;
  if (error instanceof PembrokeError) {
    return advice.reduce((line, [end, here]) => line.replace(end, here), error.message);
  }
  const message = oneLine(error.message);
  if (isSystemError(error)) return message;
  const place = /^ +(at .+)$/m.exec(error.stack ?? "")?.[1] ?? "at an unknown place";
  return `unexpected ${error.name}: ${message} (${place}); please report this`;
}
