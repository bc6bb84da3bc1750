/**
 * Runs the tools for contributors as separate processes: their npm packages have their own lock
 * file.
 */

import { fileURLToPath } from "node:url";
import { assertEquals } from "./assert.ts";

const root = new URL("../", import.meta.url);

/** Runs `tools/<name>.ts` and returns its output. */
export async function runTool(name: string, ...args: string[]): Promise<string> {
  const script = `tools/${name}.ts`;
  return await runProgram(
    Deno.execPath(),
    ["run", "-A", "--quiet", "--frozen", "--lock=tools/deno.lock", script, ...args],
    fileURLToPath(root),
  );
}

/** Milliseconds until a program is ended, which would outlive a test that fails. */
const timeout = 0.8 * Number(Deno.env.get("PEMBROKE_TEST_MS") ?? 180_000);

/** Runs a program that must succeed before the test's deadline, and returns its output. */
export async function runProgram(command: string, args: string[], cwd: string): Promise<string> {
  const signal = AbortSignal.timeout(timeout);
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    signal,
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
