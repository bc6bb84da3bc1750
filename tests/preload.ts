/**
 * Gives every test a deadline: one that hangs fails and is named. `deno task test` loads this before
 * each file of tests, and before the examples in the documentation.
 */

/** Milliseconds; fewer where this file itself is tested. */
const timeout = Number(Deno.env.get("PEMBROKE_TEST_MS") ?? 60_000);

const { test } = Deno;

type Options = Omit<Deno.TestDefinition, "fn" | "name">;
type Body = Deno.TestDefinition["fn"];

/** Every form of `Deno.test()` as the one with a definition. */
function definitionOf(args: readonly unknown[]): Deno.TestDefinition {
  const fn = args.findLast((arg) => typeof arg === "function") as Body | undefined;
  const name = args.find((arg) => typeof arg === "string") ?? fn?.name;
  const options = args.find((arg) => typeof arg === "object") as Options | undefined;
  return { timeout, name, ...(fn && { fn }), ...options } as Deno.TestDefinition;
}

const limited = (...args: unknown[]) => test(definitionOf(args));
Object.assign(limited, test); // beforeAll, ignore and the others stay as they are
Object.defineProperty(Deno, "test", { value: limited, configurable: true });
