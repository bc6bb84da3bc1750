import { fileURLToPath } from "node:url";
import { assertEquals } from "./assert.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

/** Folders that are not in the repository. */
const others = [".git", "dist", "node_modules", "runs"];

/** The paths of files and folders that Windows cannot have beside each other, or at all. */
function* badNames(folder = ""): Generator<string> {
  const seen = new Set<string>();
  for (const { name, isDirectory } of Deno.readDirSync(root + folder)) {
    const path = `${folder}${name}`, folded = name.toLowerCase();
    if (folder === "" && others.includes(name)) continue;
    const isReserved = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/.test(folded);
    // deno-lint-ignore no-control-regex -- such names are wrong
    const isInvalid = /[<>:"|?*\\\0-\x1f]|[. ]$/.test(name);
    if (isReserved || isInvalid || seen.has(folded) || path.length > 150) yield path;
    seen.add(folded);
    if (isDirectory) yield* badNames(`${path}/`);
  }
}

Deno.test("Windows allows the names of all files in the repository", () => {
  assertEquals([...badNames()], []);
});

Deno.test("a clone on Windows has the same bytes: Git converts no line breaks", () => {
  const attributes = Deno.readTextFileSync(`${root}.gitattributes`);
  assertEquals(attributes.match(/^\* .*$/gm), ["* text=auto eol=lf"]);
});
