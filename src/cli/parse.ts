/**
 * Parses arguments as the strict `parseArgs()` of `node:util` does, with one-line errors. Deno takes
 * 15 ms to load that module, a tenth of the command's start-up.
 */

import type { parseArgs, ParseArgsOptionDescriptor, ParseArgsOptionsConfig } from "node:util";
import { oneLine } from "../io/system_error.ts";
import { nearest } from "./choices.ts";
import { UsageError } from "./errors.ts";

/**
 * Parses options and positionals; throws a {@linkcode UsageError}.
 *
 * @param command The name of the command, for errors; none if the arguments have it.
 */
export function parseStrictly<const O extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: O,
  command?: string,
): ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>> {
  const values: Record<string, string | boolean> = {}, positionals: string[] = [];
  for (const token of tokensOf(args, options, command)) {
    if (token.option) values[token.name] = valueOf(token, token.option);
    else positionals.push(token.value);
  }
  for (const [name, { default: value }] of Object.entries(options)) {
    if (value !== undefined) values[name] ??= value as string | boolean;
  }
  return { values, positionals } as ReturnType<typeof parseStrictly<O>>;
}

/** A positional. */
interface Positional {
  readonly option?: undefined;
  readonly value: string;
}

/** An option. */
interface OptionToken {
  readonly option: ParseArgsOptionDescriptor;
  readonly name: string;
  readonly value: string | undefined;
  /** Whether the value is in the same argument as the name. */
  readonly inline: boolean;
}

function* tokensOf(
  args: readonly string[],
  options: ParseArgsOptionsConfig,
  command: string | undefined,
): Generator<Positional | OptionToken> {
  const find = (typed: string): Pick<OptionToken, "option" | "name"> => {
    const found = Object.entries(options).find(([name, { short }]) =>
      typed === `--${name}` || typed === `-${short}`
    );
    if (!found) throw unknownOption(typed, Object.keys(options), command);
    const [name, option] = found;
    return { option, name };
  };
  const rest = [...args];
  for (let arg; (arg = rest.shift()) !== undefined;) {
    if (arg === "--") {
      for (const value of rest) yield { value };
      return;
    }
    if (!/^-./s.test(arg)) {
      yield { value: arg };
      continue;
    }
    const [, typed, inline] = /^(--.[^=]*)(?:=(.*))?$/s.exec(arg) ?? /^(-.)(.+)?$/s.exec(arg)!;
    const token = find(typed);
    if (inline !== undefined && (typed.startsWith("--") || token.option.type === "string")) {
      yield { ...token, value: inline, inline: true };
    } else {
      if (inline !== undefined) rest.unshift(`-${inline}`); // -qv is -q -v
      const value = token.option.type === "string" ? rest.shift() : undefined;
      yield { ...token, value, inline: false };
    }
  }
}

/** The value of an option; throws a {@linkcode UsageError} if it has none, or one too many. */
function valueOf(
  { name, value, inline }: OptionToken,
  { type }: ParseArgsOptionDescriptor,
): string | boolean {
  if (type === "boolean") {
    if (value === undefined) return true;
    throw new UsageError(`--${name} takes no value, got ${JSON.stringify(value)}; leave it out`);
  }
  if (value === undefined || !inline && /^-./s.test(value)) {
    throw new UsageError(`--${name} needs a value: --${name}=VALUE`);
  }
  return value;
}

/** The error of an option that there is not, with the one that it may be. */
function unknownOption(typed: string, names: readonly string[], command?: string): UsageError {
  const message = oneLine(`unknown option '${typed}'${command ? ` of ${command}` : ""}`);
  const meant = typed.startsWith("--") ? nearest(typed.slice(2), names) : undefined;
  return new UsageError(
    `${message}; ${meant === undefined ? "see --help" : `did you mean --${meant}?`}`,
  );
}
