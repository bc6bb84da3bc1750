/** What a test needs that a machine may lack. Where CI is set, all of it must be there. */

/** Something that may be missing. */
export interface Need {
  /** What is missing, as a test's name ends with it; empty if it is there. */
  readonly missing: string;
}

async function need(what: string, isThere: () => Promise<boolean>): Promise<Need> {
  const missing = await isThere().catch(() => false) ? "" : ` (there is no ${what} here)`;
  if (missing && Deno.env.get("CI")) throw new Error(`CI lacks ${what}`);
  return { missing };
}

async function succeeds(command: string, args: string[], env = {}): Promise<boolean> {
  const signal = AbortSignal.timeout(20_000);
  const options = { args, env, signal, stdin: "null", stdout: "null", stderr: "null" } as const;
  return (await new Deno.Command(command, options).output()).success;
}

let node: Promise<Need> | undefined, registry: Promise<Need> | undefined;

/** Node from 20 on, with npm. */
export function needsNode(): Promise<Need> {
  const check = "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)";
  return node ??= need(
    "Node from 20 on with npm",
    async () => await succeeds("node", ["-e", check]) && await succeeds("npm", ["--version"]),
  );
}

/** Bun. */
export function needsBun(): Promise<Need> {
  return need("Bun", () => succeeds("bun", ["--version"]));
}

/** A Chromium, for whose file somebody has looked. */
export function needsChromium(executable: string | undefined): Promise<Need> {
  return need("Chromium", () => Promise.resolve(executable !== undefined));
}

/** The npm registry, for a Deno that has downloaded nothing yet. */
export function needsRegistry(): Promise<Need> {
  return registry ??= need("npm registry", async () => {
    const empty = await Deno.makeTempDir();
    try {
      const args = ["cache", "--no-config", "--no-lock", "npm:wasm-feature-detect@1.9.0"];
      return await succeeds(Deno.execPath(), args, { DENO_DIR: empty });
    } finally {
      await Deno.remove(empty, { recursive: true });
    }
  });
}

/** Registers a test that is left out, and says why, where something is missing. */
export function testWith(
  { missing }: Need,
  name: string,
  fn: (t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test({ name: name + missing, ignore: missing !== "", fn });
}
