/**
 * Skips tests if this machine lacks a program or a service that they need. In CI this is an error.
 */

/** A requirement of a test. */
export interface Need {
  /** A suffix for the test's name that says what is missing; empty if nothing is. */
  readonly missing: string;
}

async function need(what: string, isAvailable: () => Promise<boolean>): Promise<Need> {
  const missing = await isAvailable().catch(() => false) ? "" : ` (skipped: no ${what})`;
  if (missing && Deno.env.get("CI")) throw new Error(`the tests need ${what} in CI`);
  return { missing };
}

async function succeeds(command: string, args: string[], env = {}): Promise<boolean> {
  const signal = AbortSignal.timeout(20_000);
  const options = { args, env, signal, stdin: "null", stdout: "null", stderr: "null" } as const;
  return (await new Deno.Command(command, options).output()).success;
}

let node: Promise<Need> | undefined, registry: Promise<Need> | undefined;

/** Node 20 or later, with npm. */
export function needsNode(): Promise<Need> {
  const check = "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)";
  return node ??= need(
    "Node 20 or later with npm",
    async () => await succeeds("node", ["-e", check]) && await succeeds("npm", ["--version"]),
  );
}

/** Bun. */
export function needsBun(): Promise<Need> {
  return need("Bun", () => succeeds("bun", ["--version"]));
}

/** Chromium at this path; undefined if it was not found. */
export function needsChromium(executable: string | undefined): Promise<Need> {
  return need("Chromium", () => Promise.resolve(executable !== undefined));
}

/** WebGPU in a page of Chromium, on any adapter. */
export function needsWebGpu(hasAdapter: () => Promise<boolean>): Promise<Need> {
  return need("WebGPU in Chromium", hasAdapter);
}

/** The npm registry, reachable by a Deno with an empty cache. */
export function needsRegistry(): Promise<Need> {
  return registry ??= need("access to the npm registry", async () => {
    const empty = await Deno.makeTempDir();
    try {
      const args = ["cache", "--no-config", "--no-lock", "npm:wasm-feature-detect@1.9.0"];
      return await succeeds(Deno.execPath(), args, { DENO_DIR: empty });
    } finally {
      await Deno.remove(empty, { recursive: true });
    }
  });
}

/** A terminal: util-linux's `script` runs commands in one. */
export function needsTerminal(): Promise<Need> {
  return need("util-linux's script", () => succeeds("script", ["--version"]));
}

/** Registers a test. If something is missing, the test is skipped and its name says why. */
export function testWith(
  { missing }: Need,
  name: string,
  fn: (t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test({ name: name + missing, ignore: missing !== "", fn });
}
