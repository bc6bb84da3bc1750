/** Runs the command in tests, without a terminal. */

import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "../assert.ts";

/** The path of `cli.ts`. */
export const cli = fileURLToPath(new URL("../../cli.ts", import.meta.url));

/** The path of the command with another decoding worker, whose URL is its first argument. */
export const otherWorker = fileURLToPath(new URL("other_worker_program.ts", import.meta.url));

/**
 * A cache that cannot be created, because it is below a file, and a mirror on a port that fetch()
 * blocks: tests must depend neither on the user's models nor on the network.
 */
const isolated = { PEMBROKE_CACHE: `${cli}/no_cache`, PEMBROKE_MIRROR: "http://127.0.0.1:1" };

/** Without one, Mesa's Vulkan drivers print warnings. */
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
  /** Flags for Deno. Default: all permissions. */
  readonly flags?: readonly string[];
  readonly script?: string;
  readonly stdin?: Uint8Array;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

/**
 * Runs the command: in this process, or in a new one for other permissions, input or another
 * working directory.
 */
export function run(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { env = {}, ...process } = options;
  if (Object.keys(process).length === 0) return runHere(args, env);
  const { flags = ["-A"], script = cli, ...rest } = options;
  return start(Deno.execPath(), ["run", "--quiet", ...flags, script, ...args], rest);
}

/**
 * Runs several commands in one new process, because most of the time of a short command is the
 * start of Deno.
 */
export async function runSeveral(
  commands: readonly (readonly string[])[],
  options: Omit<RunOptions, "script">,
): Promise<Outcome[]> {
  const script = fileURLToPath(new URL("several_program.ts", import.meta.url));
  const { code, stdout, stderr } = await run([JSON.stringify(commands)], { ...options, script });
  assertEquals(code, 0, stderr);
  const printed = stdout.split("\0"), notes = stderr.split("\0");
  assertEquals([printed.length, notes.length], [2 * commands.length + 1, commands.length + 1]);
  return commands.map((_, i) => (
    { code: Number(printed[2 * i + 1]), stdout: printed[2 * i], stderr: notes[i] }
  ));
}

/** Runs a shell command in which `deno` is the Deno that runs this test. */
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
    env: { XDG_RUNTIME_DIR: runtimeFolder, NO_COLOR: "", ...isolated, ...env },
    stdin: stdin ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = process.output();
  if (stdin) {
    const writer = process.stdin.getWriter();
    // the command may close the pipe early
    await writer.write(stdin).then(() => writer.close()).catch(() => {});
  }
  const { code, stdout, stderr } = await output;
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

let lastHere: Promise<unknown> = Promise.resolve();

/** Runs the command in this process, one call at a time. */
function runHere(args: readonly string[], env: Record<string, string>): Promise<Outcome> {
  const outcome = lastHere.then(async () => {
    const { main } = await import("../../cli.ts");
    const stdout = new OutputCapture(), stderr = new OutputCapture();
    const variables: Record<string, string> = { ...isolated, ...env };
    const { get } = Deno.env;
    using _ = replaceProperties(Deno, { stdout, stderr, stdin: { readable: new Blob().stream() } });
    using _env = replaceProperties(Deno.env, {
      get: (name: string) => variables[name] ?? get(name),
    });
    const code = await main(args);
    return { code, stdout: stdout.text, stderr: stderr.text };
  });
  lastHere = outcome.catch(() => {});
  return outcome;
}

/** An output stream that is not a terminal, and stores its text. */
class OutputCapture {
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

/** Replaces properties of an object until disposed. */
function replaceProperties(object: object, properties: Record<string, unknown>): Disposable {
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

/** Asserts that a run only printed one error, and returns its message. */
export function theError({ code, stdout, stderr }: Outcome, expectedCode: 1 | 2): string {
  assertEquals(stdout, "");
  const [line, ...rest] = stderr.split("\n");
  assertEquals(rest, [""], stderr);
  assert(line.startsWith("error: "), line);
  assertEquals(code, expectedCode);
  return line.slice("error: ".length);
}

/** Text as PowerShell writes it to a file: in UTF-16, with a byte order mark. */
export function utf16(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 * text.length + 2), view = new DataView(bytes.buffer);
  for (let i = -1; i < text.length; i++) {
    view.setUint16(2 * i + 2, i < 0 ? 0xfeff : text.charCodeAt(i), true);
  }
  return bytes;
}

/** A temporary folder, deleted on disposal. */
export class TempFolder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<TempFolder> {
    return new TempFolder(await Deno.realPath(await Deno.makeTempDir({ prefix: "pembroke_" })));
  }

  /** Writes a file, creates its parent folders, and returns its path. */
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
