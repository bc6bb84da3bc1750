import * as esbuild from "npm:esbuild@0.28.2";
import { assert, assertEquals, assertThrows } from "../tests/assert.ts";
import { withArguments, withoutEffects } from "./removable.ts";

/** Runs a module. */
const load = (text: string) => import(`data:text/javascript,${encodeURIComponent(text)}`);

Deno.test("withoutEffects() lets bundlers remove values that nothing uses", async () => {
  const text = `
var key = Symbol.for("key");
var Named = class _Named {
  static made = new Map([[key, /* @__PURE__ */ new Set()]]);
  static _Named = "key";
  static copy(from) {
    const { _Named: key } = from;
    return [new _Named() instanceof _Named, key, _Named._Named];
  }
};
var $$Base = class {
  [key]() {
    return "base";
  }
};
var Derived = class extends $$Base {
  [key]() {
    return \`derived from
};
\${super[key]()}\`;
  }
};
var table = {
  one: [1].map((x) => x * 2)
}, list = [...table.one];
var later = () => table;
export {
  Derived,
  $$Base as Other,
  key,
  later,
  list,
  Named
};
`;
  const changed = withoutEffects(text);
  const { Derived, Other, key, later, list, Named } = await load(changed);
  assertEquals([Derived.name, Other.name, Named.name], ["Derived", "$$Base", "Named"]);
  assertEquals(Named.copy(Named), [true, "key", "key"]);
  assertEquals(new Derived()[key](), "derived from\n};\nbase");
  assertEquals([later(), list], [{ one: [2] }, [2]]);
  const unused = changed.replace(/export \{[^}]+\};/, "");
  const remaining = async (text: string) =>
    (await esbuild.transform(text, { treeShaking: true, format: "esm" })).code;
  assert((await remaining(text.replace(/export \{[^}]+\};/, ""))).includes("class"));
  assertEquals(await remaining(unused), "");
  await esbuild.stop();
});

Deno.test("withArguments() gives lazy files what they used to import", async () => {
  const shared = `
var Base = class {
};
var made = 0;
var $$count = () => ++made;
var first = async () => {
  const { Derived } = await import("./lazy.js");
  return Derived;
};
var second = async () => {
  const { other } = await import("./lazy.js");
  return other;
};

export {
  Base as Shared,
  $$count,
  first,
  second
};
`;
  const lazy = `import "./main.js";
import {
  Shared as Base,
  $$count
} from "./shared.js";

var Derived = class extends Base {
};
var number = $$count();

export {
  Derived,
  number as other
};
`.replace('import "./main.js";\n', "");
  const changed = withArguments({ "shared.js": shared, "lazy.js": lazy }, "shared.js", ["lazy.js"]);
  assert(!/^import/m.test(changed["lazy.js"]));
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(changed)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    const { Shared, $$count, first, second } = await import(`file://${folder}/shared.js`);
    assert((await first()).prototype instanceof Shared);
    assertEquals(await first(), await first());
    assertEquals([await second(), await second(), $$count()], [1, 1, 2]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("withArguments() rejects files that it cannot change", () => {
  const exports = "\nexport {\n  a\n};\n",
    lazy = `import {\n  a\n} from "./shared.js";\n${exports}`;
  const change = (shared: string, text: string) => () =>
    withArguments({ "shared.js": shared, "lazy.js": text }, "shared.js", ["lazy.js"]);
  const loading = `await import("./lazy.js");${exports}`;
  assertThrows(change(exports, lazy), Error, "shared.js does not load lazy.js");
  assertThrows(change(loading, `import "./c.js";\n${lazy}`), Error, "also imports another file");
  assertThrows(change(loading, exports), Error, "does not contain");
});
