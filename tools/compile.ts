/**
 * The AssemblyScript compiler with the options of this library.
 *
 * @module
 */

import asc from "npm:assemblyscript@0.28.20/asc";

/** The instructions each build may use; the source is the same. */
export const builds = {
  simd: ["simd"],
  relaxed: ["simd", "relaxed-simd"],
  simd_threads: ["simd", "threads"],
  relaxed_threads: ["simd", "relaxed-simd", "threads"],
};

/** All that 32 bits address; who makes the memory may allow it less. */
const MAXIMUM_PAGES = 65536;

const assembly = new URL("../assembly/", import.meta.url);

/** Compiles a file of assembly/ and what it imports; throws what the compiler complains about. */
export async function compile(
  entry: string,
  features: readonly string[],
): Promise<Uint8Array<ArrayBuffer>> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const args = [entry, "--outFile", "kernels.wasm", "--runtime", "stub", "--noAssert", "-O3"];
  args.push("--importMemory", "--noExportMemory", "--memoryBase", "16");
  args.push("--enable", features.join(","));
  if (features.includes("threads")) {
    args.push("--sharedMemory", "--maximumMemory", String(MAXIMUM_PAGES));
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
    writeFile: (_name, contents) => void (binary = contents as Uint8Array<ArrayBuffer>),
    listFiles: () => null,
  });
  const messages = stderr.toString();
  if (error || messages || !binary) throw new Error(messages || String(error));
  return binary;
}
