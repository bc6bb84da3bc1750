/** What the library's modules import, as Deno sees it. */

import { assert, assertEquals } from "./assert.ts";
import { output } from "./tools.ts";
import { fileURLToPath } from "node:url";

/** A part of what `deno info --json` prints. */
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

/** The modules of a graph that are not in this repository, and the packages that are imported. */
async function outside(entry: string) {
  const text = await output(Deno.execPath(), ["info", "--json", entry], fileURLToPath(root));
  const { modules }: Graph = JSON.parse(text);
  const imports = modules.flatMap(({ dependencies = [] }) => dependencies)
    .filter(({ specifier }) => !specifier.startsWith("."));
  return {
    modules: modules.map(({ specifier }) => specifier).filter((one) => !one.startsWith(root.href)),
    fixed: imports.filter(({ isDynamic }) => !isDynamic).map(({ specifier }) => specifier),
    dynamic: imports.filter(({ isDynamic }) => isDynamic).map(({ specifier }) => specifier),
  };
}

Deno.test("mod.ts leads to nothing outside this repository", async () => {
  assertEquals(await outside("mod.ts"), { modules: [], fixed: [], dynamic: [] });
});

Deno.test("the entry ./image names the codecs, for deno cache", async () => {
  const { modules, fixed, dynamic } = await outside("src/image/mod.ts");
  assertEquals(fixed, []);
  assertEquals(dynamic.map((name) => codecs.exec(name)?.[1]), ["jpeg", "webp"]);
  assertEquals(modules.filter((name) => !codecs.test(name.replace("npm:/", "npm:"))), []);
});

Deno.test("what is outside is seen: the command imports packages, and modules of Node", async () => {
  const { fixed } = await outside("cli.ts");
  for (const kind of ["npm:", "node:"]) assert(fixed.some((name) => name.startsWith(kind)), kind);
});
