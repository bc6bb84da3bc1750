/**
 * Gives every test a timeout, so that a test that hangs fails with its name. `deno task test` loads
 * this before each test file.
 */

/** Milliseconds: long enough for a busy machine. Shorter in the tests of this file. */
const timeout = Number(Deno.env.get("PEMBROKE_TEST_MS") ?? 180_000);

const { test } = Deno;

type Options = Omit<Deno.TestDefinition, "fn" | "name">;
type Body = Deno.TestDefinition["fn"];

/** Converts the arguments of any form of `Deno.test()` to a definition. */
function definitionOf(args: readonly unknown[]): Deno.TestDefinition {
  const fn = args.findLast((arg) => typeof arg === "function") as Body | undefined;
  const name = args.find((arg) => typeof arg === "string") ?? fn?.name;
  const options = args.find((arg) => typeof arg === "object") as Options | undefined;
  return { timeout, name, ...(fn && { fn }), ...options } as Deno.TestDefinition;
}

const testWithTimeout = (...args: unknown[]) => test(definitionOf(args));
Object.assign(testWithTimeout, test); // beforeAll, ignore and so on do not change
Object.defineProperty(Deno, "test", { value: testWithTimeout, configurable: true });
