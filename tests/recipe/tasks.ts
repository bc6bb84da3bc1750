/** Runs the tasks of the recipe in tests. */

import { fileURLToPath } from "node:url";
import { type Outcome, run } from "../cli/run.ts";

/** Runs a task as a program, `weights/recipe/<name>.ts`. Starting Deno takes half a second. */
export function runTask(name: string, ...args: string[]): Promise<Outcome> {
  const script = fileURLToPath(new URL(`../../weights/recipe/${name}.ts`, import.meta.url));
  return run(args, { script });
}

/** Runs the function of a task in this process. Tasks print whole lines with `console`. */
export async function runHere(
  main: (args: readonly string[]) => Promise<number>,
  ...args: string[]
): Promise<Outcome> {
  const { log, error } = console;
  let stdout = "", stderr = "";
  console.log = (line: string) => stdout += `${line}\n`;
  console.error = (line: string) => stderr += `${line}\n`;
  try {
    const code = await main(args);
    return { code, stdout, stderr };
  } finally {
    Object.assign(console, { log, error });
  }
}
