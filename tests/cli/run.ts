/** Runs the command as a user does, away from any terminal. */

import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "../assert.ts";

/** The command's file. */
export const cli = fileURLToPath(new URL("../../cli.ts", import.meta.url));

/** The command with another worker to decode images, whose URL goes first. */
export const otherWorker = fileURLToPath(new URL("other_worker_program.ts", import.meta.url));

/** No cache is there. */
const emptyCache = fileURLToPath(new URL("../no_cache", import.meta.url));

/** Mesa's drivers for Vulkan complain on standard error without one. */
const runtimeFolder = Deno.env.get("XDG_RUNTIME_DIR") ??
  fileURLToPath(new URL("./", import.meta.url));

/** The path of a fixture. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What Deno is given before the script. Default: all permissions. */
  readonly flags?: readonly string[];
  readonly script?: string;
  readonly stdin?: Uint8Array;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/**
 * Runs the command with these arguments, in a process of its own if it is to have other permissions,
 * input or another working directory than this one.
 */
export function run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { env = {}, ...process } = options;
  if (Object.keys(process).length === 0) return runHere(args, env);
  const { flags = ["-A"], script = cli, ...rest } = options;
  return start(Deno.execPath(), ["run", "--quiet", ...flags, script, ...args], rest);
}

/** Runs a line of shell in which `deno` is the one that runs this test. */
export function shell(line: string, options: RunOptions = {}): Promise<Outcome> {
  const env = { DENO: Deno.execPath(), ...options.env };
  return start("sh", ["-c", `deno() { "$DENO" "$@"; }\n${line}`], { ...options, env });
}

async function start(
  command: string,
  args: string[],
  { stdin, cwd, env }: RunOptions,
): Promise<Outcome> {
  const process = new Deno.Command(command, {
    args,
    cwd,
    // an empty cache: what its user has pulled must not change what the tests see
    env: { XDG_RUNTIME_DIR: runtimeFolder, NO_COLOR: "", PEMBROKE_CACHE: emptyCache, ...env },
    stdin: stdin ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = process.output();
  if (stdin) {
    const writer = process.stdin.getWriter();
    // a command that has enough closes the pipe
    await writer.write(stdin).then(() => writer.close()).catch(() => {});
  }
  const { code, stdout, stderr } = await output;
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

let lastHere: Promise<unknown> = Promise.resolve();

/** Runs the command in this process, one after another. */
function runHere(args: readonly string[], env: Record<string, string>): Promise<Outcome> {
  const outcome = lastHere.then(async () => {
    const { main } = await import("../../cli.ts");
    const stdout = new Captured(), stderr = new Captured();
    const variables: Record<string, string> = { PEMBROKE_CACHE: emptyCache, ...env };
    const { get } = Deno.env;
    using _ = replaced(Deno, { stdout, stderr, stdin: { readable: new Blob().stream() } });
    using _env = replaced(Deno.env, { get: (name: string) => variables[name] ?? get(name) });
    const code = await main(args);
    return { code, stdout: stdout.text, stderr: stderr.text };
  });
  lastHere = outcome.catch(() => {});
  return outcome;
}

/** An output that is no terminal, and keeps what is written. */
class Captured {
  readonly #decoder = new TextDecoder();
  text = "";

  isTerminal(): boolean {
    return false;
  }

  writeSync(bytes: Uint8Array): number {
    this.text += this.#decoder.decode(bytes, { stream: true });
    return bytes.length;
  }
}

/** Gives an object other properties until this is disposed of. */
function replaced(object: object, properties: Record<string, unknown>): Disposable {
  const before = Object.entries(properties).map(([name, value]) => {
    const descriptor = Object.getOwnPropertyDescriptor(object, name)!;
    Object.defineProperty(object, name, { value, configurable: true });
    return [name, descriptor] as const;
  });
  return {
    [Symbol.dispose]: () =>
      before.forEach(([name, descriptor]) => Object.defineProperty(object, name, descriptor)),
  };
}

/** Asserts that a run failed with nothing but one line, and returns it without "error: ". */
export function theError({ code, stdout, stderr }: Outcome, expectedCode: 1 | 2): string {
  assertEquals(stdout, "");
  const [line, ...rest] = stderr.split("\n");
  assertEquals(rest, [""], stderr);
  assert(line.startsWith("error: "), line);
  assertEquals(code, expectedCode);
  return line.slice("error: ".length);
}

/** A folder that is removed in the end. */
export class TempFolder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<TempFolder> {
    return new TempFolder(await Deno.realPath(await Deno.makeTempDir({ prefix: "pembroke_" })));
  }

  /** Writes a file, with the folders above it, and returns its path. */
  async write(name: string, content: Uint8Array | string): Promise<string> {
    const path = `${this.path}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(path, bytes);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
