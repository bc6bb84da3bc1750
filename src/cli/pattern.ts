/** Patterns of file names, as in a shell. */

/**
 * A part of a pattern: takes the positions of a text where it may begin, and returns those where it may end.
 * With sets of positions, matching never goes back, so its time grows only with both lengths.
 */
type Part = (text: readonly string[], from: ReadonlySet<number>) => Set<number>;

/**
 * What a pattern consists of: a set of characters, an escaped one, stars, slashes, or any other one. A set
 * ends within 256 characters, so that the end is not sought again and again from each bracket.
 */
const tokenPattern =
  /\[!?(?:\](?:\[:\w+:\]|\\.|[^\]\\/]){0,256}|(?:\[:\w+:\]|\\.|[^\]\\/]){1,256})\]|\\.|\*+|\/+|./gsu;

/** The named sets of characters. */
const namedSets: Readonly<Record<string, string>> = {
  "[:alnum:]": "\\p{L}\\p{Nd}",
  "[:alpha:]": "\\p{L}",
  "[:ascii:]": "\\0-\\x7f",
  "[:blank:]": "\\t\\p{Zs}",
  "[:cntrl:]": "\\p{Cc}",
  "[:digit:]": "\\d",
  "[:graph:]": "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}",
  "[:lower:]": "\\p{Ll}",
  "[:print:]": "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Zs}",
  "[:punct:]": "\\p{P}$+<=>\\^`\\|~",
  "[:space:]": "\\s",
  "[:upper:]": "\\p{Lu}",
  "[:word:]": "\\p{L}\\p{Nd}_",
  "[:xdigit:]": "\\dA-Fa-f",
};

/**
 * Returns a function that tells whether a path matches a pattern of `*`, `?`, `[…]`, `{…,…}` and `**`. A
 * bracket or brace that is not closed stands for itself.
 *
 * @throws {SyntaxError} When a range such as `[z-a]` is invalid, or braces are nested too deep.
 */
export function pathMatcher(pattern: string, ignoreCase = false): (path: string) => boolean {
  const fold = (text: string) => ignoreCase ? text.toLowerCase() : text;
  const folded = fold(ignoreCase ? pattern.replace(/\[:upper:\]/gi, "[:lower:]") : pattern);
  const tokens = folded.replace(/(?<=.)\/+$/s, "").match(tokenPattern) ?? [];
  const all = sequence(tokens, bracesOf(tokens), 0, tokens.length);
  return (path) => {
    const text = [...fold(path)];
    return all(text, new Set([0])).has(text.length);
  };
}

/** How deep braces may be nested: the functions of a pattern are nested as deep. */
const maxDepth = 100;

/** The index of the closing brace of each opening one. */
function bracesOf(tokens: readonly string[]): Map<number, number> {
  const open: number[] = [], braces = new Map<number, number>();
  for (const [i, token] of tokens.entries()) {
    if (token === "{" && open.push(i) > maxDepth) {
      throw new SyntaxError("braces are nested too deep");
    }
    if (token === "}" && open.length > 0) braces.set(open.pop()!, i);
  }
  return braces;
}

/** The tokens from one index to another, in order. */
function sequence(
  tokens: readonly string[],
  braces: ReadonlyMap<number, number>,
  start: number,
  end: number,
): Part {
  const parts: Part[] = [];
  for (let at = start; at < end; at++) {
    const token = tokens[at], close = braces.get(at);
    if (close !== undefined) {
      parts.push(alternatives(tokens, braces, at + 1, close));
      at = close;
    } else if (token === "**" && isSlash(tokens[at - 1]) && isSlash(tokens[at + 1])) {
      parts.push(tokens[at + 1] === undefined ? anything : anyFolders);
      at++; // its slash
    } else if (token.startsWith("*")) parts.push(star);
    else parts.push(oneCharacter(token));
  }
  return (text, from) => parts.reduce((positions, part) => part(text, positions), new Set(from));
}

function isSlash(token: string | undefined): boolean {
  return token === undefined || token.startsWith("/");
}

/** One of the sequences between commas. */
function alternatives(
  tokens: readonly string[],
  braces: ReadonlyMap<number, number>,
  start: number,
  end: number,
): Part {
  const choices: Part[] = [];
  for (let at = start, first = start; at <= end; at++) {
    if (at < end && tokens[at] !== ",") at = braces.get(at) ?? at;
    else {
      choices.push(sequence(tokens, braces, first, at));
      first = at + 1;
    }
  }
  return (text, from) => new Set(choices.flatMap((choice) => [...choice(text, from)]));
}

/** `*`: any characters but slashes. */
function star(text: readonly string[], from: ReadonlySet<number>): Set<number> {
  const to = new Set<number>();
  for (const start of from) {
    for (let at = start; at <= text.length && !to.has(at); at++) {
      to.add(at);
      if (text[at] === "/") break;
    }
  }
  return to;
}

/** Two stars and a slash: any folders. */
function anyFolders(text: readonly string[], from: ReadonlySet<number>): Set<number> {
  const to = new Set(from);
  for (let at = Math.min(...from); at < text.length; at++) if (text[at] === "/") to.add(at + 1);
  return to;
}

/** Two stars at the end: anything. */
function anything(text: readonly string[], from: ReadonlySet<number>): Set<number> {
  return new Set(from.size > 0 ? [text.length] : []);
}

/** `?`, a set, or the character itself. */
function oneCharacter(token: string): Part {
  const fits = characterTest(token);
  return (text, from) =>
    new Set([...from].flatMap((at) => at < text.length && fits(text[at]) ? [at + 1] : []));
}

function characterTest(token: string): (char: string) => boolean {
  if (token === "?") return (char) => char !== "/";
  const [, not, set] = /^\[(!?)(.+)\]$/s.exec(token) ?? [];
  if (set === undefined) {
    const expected = token.startsWith("/") ? "/" : token.replace(/^\\(?=.)/s, "");
    return (char) => char === expected;
  }
  const items = set.match(/\[:\w+:\]|\\.|./gsu) ?? [];
  const source = items.map((item, i) =>
    namedSets[item] ?? (item === "-" && i > 0 && i < items.length - 1 ? "-" : escaped(item))
  );
  const expression = new RegExp(`[${not && "^"}${source.join("")}]`, "u");
  return (char) => char !== "/" && expression.test(char);
}

/** The characters of a set as a regular expression needs them. */
function escaped(item: string): string {
  const codes = [...item.replace(/^\\(?=.)/s, "")].map((char) => char.codePointAt(0)!);
  return codes.map((code) => `\\u{${code.toString(16)}}`).join("");
}
