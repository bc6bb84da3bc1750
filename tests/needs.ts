/** What a test needs that a machine may lack. CI has all of it. */

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
  const options = { args, env, stdin: "null", stdout: "null", stderr: "null" } as const;
  return (await new Deno.Command(command, options).output()).success;
}

let node: Promise<Need> | undefined, registry: Promise<Need> | undefined;

/** Node with npm. */
export function needsNode(): Promise<Need> {
  return node ??= need(
    "Node with npm",
    async () => await succeeds("node", ["--version"]) && await succeeds("npm", ["--version"]),
  );
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
