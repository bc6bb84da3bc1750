import { parseArgs } from "node:util";
import { assertEquals, assertThrows } from "../assert.ts";
import { UsageError } from "../../src/cli/errors.ts";
import { parseStrictly } from "../../src/cli/parse.ts";

const options = {
  "model": { type: "string", short: "m" },
  "top-k": { type: "string", short: "k", default: "5" },
  "seed": { type: "string" },
  "quiet": { type: "boolean", short: "q", default: false },
  "verbose": { type: "boolean", short: "v" },
} as const;

/** The long names of short options, which node:util does not always print. */
const namesOf = new Map([["m", "--model"], ["k", "--top-k"]]);

/** What a parser returns, or the first sentence of its error. */
function outcome(
  parse: () => Pick<ReturnType<typeof parseArgs>, "values" | "positionals">,
): unknown {
  try {
    const { values, positionals } = parse();
    return { values: { ...values }, positionals };
  } catch (error) {
    const [sentence] = (error as Error).message.split(/\. |\n|; see --help/);
    const [, short, long] =
      /'(?:-(\w)|(--[\w-]+))(?:, --[\w-]+)?[^']*' argument (?:missing|is ambiguous)/.exec(
        sentence,
      ) ?? [];
    const missing = long ?? namesOf.get(short);
    if (missing) return `${missing} needs a value: ${missing}=VALUE`;
    const [, flag] =
      /(--[\w-]+)(?:' does not take an argument| takes no value, got ".*"; leave it out$)/.exec(
        sentence,
      ) ?? [];
    if (flag) return `${flag} takes no value`;
    return `${sentence[0].toLowerCase()}${sentence.slice(1).replace(/\.$/, "")}`;
  }
}

Deno.test("parseStrictly() is the strict parseArgs() of node:util", () => {
  const words = [
    ..."--model -m --model= --model=a --model=a=b -ma -m=a -mq -qm -qma --top-k=3 -k3 --seed".split(
      " ",
    ),
    ..."--quiet --quiet=1 -q -qv -q=1 -vqx -x --x --x=1 --mod -- - --- ---x --= --=a".split(" "),
    ..."a b=c --__proto__ --constructor -é".split(" "),
    "",
  ];
  const lists = [[], ...words.map((a) => [a]), ...words.flatMap((a) => words.map((b) => [a, b]))];
  for (const list of [...lists, ...lists.map((list) => [...list, "-v", "end"])]) {
    const expected = outcome(() => parseArgs({ args: list, options, allowPositionals: true }));
    assertEquals(outcome(() => parseStrictly(list, options)), expected, `${list}`);
  }
});

Deno.test("parseStrictly() reports wrong arguments on one line", () => {
  const error = assertThrows(() => parseStrictly(["--a\nb"], options), UsageError);
  assertEquals(error.message, "unknown option '--a b'; see --help");
});
