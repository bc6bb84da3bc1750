/**
 * Reads the classes of assembly/geometry.ts, and writes them as TypeScript: an interface for each, and
 * the layout of its fields in memory.
 *
 * @module
 */

/** A field of four bytes. */
interface Field {
  readonly doc: string;
  readonly name: string;
  readonly type: string;
}

/** A class whose instances are blocks of memory. */
interface Block {
  readonly doc: string;
  readonly name: string;
  /** The class whose fields come first. */
  readonly base: string | undefined;
  readonly fields: Field[];
}

/** What the types of fields are in TypeScript, and how they lie in memory. */
const types: Readonly<Record<string, readonly [type: string, stored: string]>> = {
  i32: ["number", "i32"],
  u32: ["number", "i32"],
  usize: ["number", "i32"],
  f32: ["number", "f32"],
  Flag: ["boolean", "i32"],
};

/**
 * The module that declares the blocks of an AssemblyScript source.
 *
 * @throws {Error} When a line is none that a class of four-byte fields and getters has.
 */
export function geometryModule(source: string): string {
  const blocks = readBlocks(source);
  const sizeOf = ({ base, fields }: Block): number => {
    const before = blocks.find(({ name }) => name === base);
    return fields.length * 4 + (before ? sizeOf(before) : 0);
  };
  return [
    "// Made by `deno task build` from assembly/geometry.ts.",
    'import type { Layout } from "../block.ts";',
    `/** Bytes of the largest block. */\nexport const blockBytes = ${
      Math.max(...blocks.map(sizeOf))
    };`,
    ...blocks.flatMap((block) => [interfaceOf(block), layoutOf(block)]),
  ].join("\n\n") + "\n";
}

function interfaceOf({ doc, name, base, fields }: Block): string {
  const members = fields.map((field) =>
    `  ${field.doc}\n  readonly ${field.name}: ${types[field.type][0]};\n`
  );
  const heritage = base ? ` extends ${base}` : "";
  return `${doc}\nexport interface ${name}${heritage} {\n${members.join("")}}`;
}

function layoutOf({ name, base, fields }: Block): string {
  const entries = fields.map((field) => `  ${field.name}: "${types[field.type][1]}",\n`);
  const before = base ? `  ...${layoutName(base)},\n` : "";
  return `/** The layout of {@linkcode ${name}}. */\nexport const ${
    layoutName(name)
  }: Layout<${name}> =` +
    ` {\n${before}${entries.join("")}};`;
}

/** `Conv2dGeometry` is laid out by `conv2dLayout`. */
function layoutName(name: string): string {
  return name[0].toLowerCase() + name.slice(1).replace(/Geometry$/, "") + "Layout";
}

function readBlocks(source: string): Block[] {
  const blocks: Block[] = [];
  let doc = "", open: Block | undefined, inGetter = false;
  for (const [i, line] of source.split("\n").entries()) {
    if (inGetter) {
      inGetter = line !== "  }";
    } else if (/^ *\/\*\*.*\*\/$/.test(line)) {
      doc = line.trim();
    } else if (/^ +get \w+\(\): \w+ \{$/.test(line)) {
      inGetter = true;
    } else if (line === "}") {
      open = undefined;
    } else if (!/^(\/\/.*|type Flag = i32;|@unmanaged| {2}@inline|)$/.test(line)) {
      const [, name, base] = line.match(/^export class (\w+)(?: extends (\w+))? \{$/) ?? [];
      const [, field, type] = line.match(/^ {2}(\w+): (\w+);$/) ?? [];
      if (name) {
        open = { doc, name, base, fields: [] };
        blocks.push(open);
      } else if (open && field && type in types) {
        open.fields.push({ doc, name: field, type });
      } else {
        throw new Error(`assembly/geometry.ts:${i + 1}: not a four-byte field: ${line.trim()}`);
      }
    }
  }
  return blocks;
}
