/** Runs a contributor's tool, whose packages are not the users': a process with a lock of its own. */

import { fileURLToPath } from "node:url";
import { assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);

/** Runs `tools/<name>.ts` and returns what it printed. */
export async function tool(name: string, ...args: string[]): Promise<string> {
  const script = `tools/${name}.ts`;
  return await output(
    Deno.execPath(),
    ["run", "-A", "--quiet", "--frozen", "--lock=tools/deno.lock", script, ...args],
    fileURLToPath(root),
  );
}

/** What a program prints that ends well, and before the deadline of the test. */
export async function output(command: string, args: string[], cwd: string): Promise<string> {
  const signal = AbortSignal.timeout(50_000);
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    signal,
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
