/** Runs the tasks of the recipe in tests. */

/** What a task printed, and its exit code. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a task as a program, `weights/recipe/<name>.ts`. Starting Deno takes half a second. */
export async function runTask(name: string, ...args: string[]): Promise<Outcome> {
  const script = new URL(`../../weights/recipe/${name}.ts`, import.meta.url).href;
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, ...args],
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
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
