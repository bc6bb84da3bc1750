/** Patterns of file names. */

import { pathMatcher } from "../../src/cli/pattern.ts";
import { assert, assertEquals, assertThrows } from "../assert.ts";

Deno.test("patterns match as in a shell", () => {
  const cases: readonly (readonly [pattern: string, yes: string[], no: string[]])[] = [
    ["a.png", ["a.png"], ["aXpng", "a.pngx", "xa.png", "a/b"]],
    ["*.png", ["a.png", ".png", "a\nb.png", "é.png"], ["a/b.png", "a.PNG", "a.png/"]],
    ["a*b*c", ["abc", "axbxc", "abbcc"], ["ab", "acb", "a/bc"]],
    ["?.png", ["a.png", "🐈.png"], ["ab.png", ".png", "/.png"]],
    ["[bc]?", ["bx", "cx"], ["ax", "b"]],
    ["[!bc]x", ["ax", "^x"], ["bx", "x", "/x"]],
    ["[a-c0-]", ["a", "b", "0", "-"], ["d", "1"]],
    ["[]a]", ["]", "a"], ["b"]],
    ["[!]]", ["a"], ["]"]],
    ["[^a]", ["^", "a"], ["b"]],
    ["[[:digit:]x][[:alpha:]]", ["1a", "xé"], ["a1", ":a"]],
    ["[[:alnum:]]", ["a", "É", "1"], ["_", "-"]],
    ["[[:ascii:]]", ["a", "~", "\t"], ["é"]],
    ["[[:blank:]]", [" ", "\t"], ["\n", "a"]],
    ["[[:cntrl:]]", ["\n", "\x7f"], [" ", "a"]],
    ["[[:digit:]]", ["0", "9"], ["a"]],
    ["[[:graph:]]", ["a", "é", "1", "+", "!", "🐈"], [" ", "\n"]],
    ["[[:lower:]]", ["a", "é"], ["A", "1"]],
    ["[[:print:]]", ["a", "1", "+", "!", " "], ["\n"]],
    ["[[:punct:]]", [..."!\"#$%&'()*+,-.:;<=>?@[\\]^_`{|}~«"], ["a", "1", " ", "/"]],
    ["[+-9]", [".", "0"], ["/", "a"]],
    ["[[:space:]]", [" ", "\t", "\n"], ["a"]],
    ["[[:upper:]]", ["A", "É"], ["a", "1"]],
    ["[[:word:]]", ["a", "É", "1", "_"], ["-", " "]],
    ["[[:xdigit:]]", ["0", "a", "F"], ["g"]],
    ["[![:punct:]]", ["a"], ["$", "~", "/"]],
    ["[\\]\\-]", ["]", "-"], ["\\"]],
    ["[a/b]", ["[a/b]"], ["a", "b"]],
    ["[ab", ["[ab"], ["a", "b"]],
    ["[]", ["[]"], ["", "]"]],
    ["\\*\\{a}", ["*{a}"], ["x{a}", "*a"]],
    ["\\", ["\\"], [""]],
    ["{a,b}.{jpg,png}", ["a.jpg", "b.png"], ["c.jpg", "a.gif", "a,b.jpg"]],
    ["x{a,{b,c}d,}y", ["xay", "xbdy", "xcdy", "xy"], ["xby", "xabdy"]],
    ["{a,*b}{c,d*}", ["ac", "xbc", "xbdz"], ["bx", "a"]],
    ["{a/b,c}/d", ["a/b/d", "c/d"], ["a/d", "b/d"]],
    ["{a,b", ["{a,b"], ["a", "b"]],
    ["a,b}", ["a,b}"], ["a", "b}"]],
    ["{{a,b}", ["{a", "{b"], ["a", "{{a"]],
    ["**/*.png", ["a.png", "b/a.png", "b/c/a.png"], ["a.jpg", "b.png/c"]],
    ["a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "x/a/b"]],
    ["a/**", ["a/b", "a/b/c"], ["b/a", "ab"]],
    ["a**b", ["ab", "axb"], ["a/b"]],
    ["a//b/", ["a/b"], ["a//b/"]],
  ];
  for (const [pattern, yes, no] of cases) {
    const matches = pathMatcher(pattern);
    assertEquals([pattern, ...yes.filter((path) => !matches(path))], [pattern]);
    assertEquals([pattern, ...no.filter((path) => matches(path))], [pattern]);
  }
  const ignoringCase = pathMatcher("[A-C]*É.{JPG,Png}", true);
  assert(["bxé.jpg", "Cé.PNG"].every((path) => ignoringCase(path)) && !ignoringCase("d.jpg"));
  for (const set of ["[[:upper:]]", "[[:lower:]]"]) {
    const matches = pathMatcher(set, true);
    assert(["a", "A", "É"].every((path) => matches(path)) && !matches("1"), set);
  }
  for (const invalid of ["[z-a]", "{".repeat(101) + "}".repeat(101)]) {
    assertThrows(() => pathMatcher(invalid), SyntaxError);
  }
});

Deno.test("patterns take little time, however many stars and braces they have", () => {
  const name = "a".repeat(255), path = `${name}/`.repeat(15) + name;
  const patterns = [
    "*a".repeat(60) + "*b",
    "**/*a*a*a*a*a*a*b",
    `${"{a,aa,*a}".repeat(30)}b`,
    `${"{*,".repeat(40)}b${"}".repeat(40)}b`,
    "**/".repeat(60) + "b",
    "{".repeat(90) + "[".repeat(100_000),
    "[[:a:]\\".repeat(20_000),
  ];
  const begin = performance.now();
  for (const pattern of patterns) {
    const matches = pathMatcher(pattern);
    assert(!matches(name) && !matches(path), pattern);
  }
  assert(performance.now() - begin < 10_000);
});
