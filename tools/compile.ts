/**
 * The AssemblyScript compiler with the options of this library.
 *
 * @module
 */

import asc from "npm:assemblyscript@0.28.20/asc";

/** The features that each build of the same source may use. */
export const builds = {
  simd: ["simd"],
  relaxed: ["simd", "relaxed-simd"],
  simd_threads: ["simd", "threads"],
  relaxed_threads: ["simd", "relaxed-simd", "threads"],
};

/** 4 GiB, the 32-bit limit; the memory's creator may set a lower one. */
const maximumPages = 65536;

const assembly = new URL("../assembly/", import.meta.url);

/**
 * Compiles a file and what it imports.
 *
 * @param entry Its path from assembly/.
 * @throws {Error} With the compiler's messages, warnings included.
 */
export async function compile(
  entry: string,
  features: readonly string[],
): Promise<Uint8Array<ArrayBuffer>> {
  return await run(entry, features, ["-O3", "--outFile", "kernels.wasm"]);
}

/**
 * Compiles to WebAssembly's text format, unoptimised: it has every function under its name, except
 * those that are always inlined.
 *
 * @throws {Error} With the compiler's messages, warnings included.
 */
export async function compileText(entry: string, features: readonly string[]): Promise<string> {
  return await run(entry, features, ["-O0", "--debug", "--textFile", "kernels.wat"]);
}

async function run<Output>(
  entry: string,
  features: readonly string[],
  options: readonly string[],
): Promise<Output> {
  let output: Output | undefined;
  const args = [entry, ...options, "--runtime", "stub", "--noAssert"];
  args.push("--importMemory", "--noExportMemory", "--memoryBase", "16");
  args.push("--enable", features.join(","));
  if (features.includes("threads")) {
    args.push("--sharedMemory", "--maximumMemory", String(maximumPages));
  }
  const { error, stderr } = await asc.main(args, {
    readFile: (name, base) => {
      try {
        return Deno.readTextFileSync(
          new URL(name, base === "." ? assembly : new URL(base, assembly)),
        );
      } catch {
        return null;
      }
    },
    writeFile: (_name, contents) => void (output = contents as Output),
    listFiles: () => null,
  });
  const messages = stderr.toString();
  if (error || messages || output === undefined) throw new Error(messages || String(error));
  return output;
}
