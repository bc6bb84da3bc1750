/** Checks what the library's modules import, with `deno info`. */

import { assert, assertEquals } from "./assert.ts";
import { runProgram } from "./tools.ts";
import { fileURLToPath } from "node:url";

/** A part of the output of `deno info --json`. */
interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly isDynamic?: boolean;
    }[];
  }[];
}

const root = new URL("../", import.meta.url);
const codecs = /^npm:@jsquash\/(jpeg|webp)@[\d.]+\//;

/** The modules that an entry reaches outside this repository, and all non-relative imports. */
async function externalImports(entry: string) {
  const text = await runProgram(Deno.execPath(), ["info", "--json", entry], fileURLToPath(root));
  const { modules }: Graph = JSON.parse(text);
  const imports = modules.flatMap(({ dependencies = [] }) => dependencies)
    .filter(({ specifier }) => !specifier.startsWith("."));
  return {
    modules: modules.map(({ specifier }) => specifier).filter((url) => !url.startsWith(root.href)),
    static: imports.filter(({ isDynamic }) => !isDynamic).map(({ specifier }) => specifier),
    dynamic: imports.filter(({ isDynamic }) => isDynamic).map(({ specifier }) => specifier),
  };
}

Deno.test("mod.ts imports nothing outside this repository", async () => {
  assertEquals(await externalImports("mod.ts"), { modules: [], static: [], dynamic: [] });
});

Deno.test("src/image/mod.ts imports the codecs dynamically, for deno cache", async () => {
  const imports = await externalImports("src/image/mod.ts");
  assertEquals(imports.static, []);
  assertEquals(imports.dynamic.map((name) => codecs.exec(name)?.[1]).sort(), [
    "jpeg",
    "jpeg",
    "webp",
    "webp",
  ]);
  assertEquals(imports.modules.filter((url) => !codecs.test(url.replace("npm:/", "npm:"))), []);
});

Deno.test("cli.ts starts without packages, and imports them when it needs them", async () => {
  const imports = await externalImports("cli.ts");
  assertEquals(imports.static.filter((name) => !name.startsWith("node:")), []);
  assert(imports.static.length > 0, "this test sees Node's modules");
  assert(imports.dynamic.some((name) => name.startsWith("npm:")), "this test sees packages");
});
