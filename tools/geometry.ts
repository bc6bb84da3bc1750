/**
 * Reads the classes of assembly/geometry.ts and the enums of codes.ts, and writes them as TypeScript: for a class
 * an interface, and a function that writes its fields to memory; for an enum its names and their
 * codes. A field may be of an enum: then the function writes the code of its name.
 *
 * @module
 */

/** A field of four bytes. */
interface Field {
  readonly doc: string;
  readonly name: string;
  readonly type: string;
  /** Its file and line. */
  readonly place: string;
}

/** A class whose instances are blocks of memory. */
interface Block {
  readonly doc: string;
  readonly name: string;
  /** The class whose fields come first. */
  readonly base: string | undefined;
  readonly fields: Field[];
}

/** Names for the numbers 0, 1, 2, … */
interface Enum {
  readonly doc: string;
  readonly name: string;
  readonly members: { readonly doc: string; readonly name: string }[];
}

/** What the types of fields are in TypeScript, and the array through which they are written. */
const types: Readonly<Record<string, readonly [type: string, array: string]>> = {
  i32: ["number", "integers"],
  u32: ["number", "integers"],
  usize: ["number", "integers"],
  f32: ["number", "floats"],
  Flag: ["boolean", "integers"],
};

/**
 * The module that declares the blocks of AssemblyScript sources.
 *
 * @param sources The texts by path.
 * @throws {Error} When a line is neither a four-byte field nor a getter.
 */
export function geometryModule(sources: ReadonlyMap<string, string>): string {
  const all = Array.from(sources, ([path, text]) => readDeclarations(path, text));
  const blocks = all.flatMap(({ blocks }) => blocks), enums = all.flatMap(({ enums }) => enums);
  const fieldsOf = ({ base, fields }: Block): Field[] => {
    const before = blocks.find(({ name }) => name === base);
    return [...before ? fieldsOf(before) : [], ...fields];
  };
  const bytes = Math.max(...blocks.map((block) => fieldsOf(block).length * 4));
  checkTypes(blocks, enums);
  return [
    `// Made by \`deno task build\` from ${[...sources.keys()].join(" and ")}.`,
    "type Integers = Int32Array<ArrayBufferLike>;\ntype Floats = Float32Array<ArrayBufferLike>;",
    `/** Bytes of the largest block. */\nexport const blockBytes = ${bytes};`,
    ...blocks.flatMap((block) => [interfaceOf(block), writerOf(block.name, fieldsOf(block))]),
    ...enums.flatMap((codes) => [codesOf(codes), `${codes.doc}\n${typeOf(codes)}`]),
  ].join("\n\n") + "\n";
}

/** Checks that the types of fields are known. */
function checkTypes(blocks: readonly Block[], enums: readonly Enum[]): void {
  for (const { place, type } of blocks.flatMap(({ fields }) => fields)) {
    if (type in types || enums.some(({ name }) => name === type)) continue;
    throw new Error(`${place}: not a four-byte field: ${type}`);
  }
}

function interfaceOf({ doc, name, base, fields }: Block): string {
  const members = fields.map((field) =>
    `  ${field.doc}\n  readonly ${field.name}: ${types[field.type]?.[0] ?? field.type};\n`
  );
  const heritage = base ? ` extends ${base}` : "";
  return `${doc}\nexport interface ${name}${heritage} {\n${members.join("")}}`;
}

function writerOf(block: string, fields: readonly Field[]): string {
  const lines = fields.map(({ name, type }, i) => {
    const [typescript, array] = types[type] ?? ["code", "integers"];
    const value = typescript === "boolean"
      ? `Number(g.${name})`
      : typescript === "code"
      ? `${codesName(type)}[g.${name}]`
      : `g.${name}`;
    return `  ${array}[${i}] = ${value};\n`;
  });
  const floats = fields.some(({ type }) => types[type]?.[1] === "floats") ? "floats" : "_floats";
  const parameters = `integers: Integers, ${floats}: Floats, g: ${block}`;
  const integers = lines.some((line) => line.includes("integers")) ? "integers" : "_integers";
  return `/** Writes a {@linkcode ${block}}. */\nexport function ${writerName(block)}(` +
    `${parameters.replace("integers", integers)}): void {\n${lines.join("")}}`;
}

/** `Conv2dGeometry` is written by `writeConv2d`. */
function writerName(name: string): string {
  return `write${name.replace(/Geometry$/, "")}`;
}

/** `ActivationKind` becomes `activationKindCodes`. */
function codesName(name: string): string {
  return `${name[0].toLowerCase()}${name.slice(1)}Codes`;
}

function codesOf({ name, members }: Enum): string {
  const lines = members.map((member, i) => `  ${member.doc}\n  ${member.name}: ${i},\n`);
  return `/** The codes of {@linkcode ${name}}. */\nexport const ${codesName(name)} = {\n` +
    `${lines.join("")}} as const;`;
}

function typeOf({ name }: Enum): string {
  return `export type ${name} = keyof typeof ${codesName(name)};`;
}

function readDeclarations(path: string, source: string): { blocks: Block[]; enums: Enum[] } {
  const blocks: Block[] = [], enums: Enum[] = [];
  let doc = "", open: Block | undefined, codes: Enum | undefined, inGetter = false;
  for (const [i, line] of source.split("\n").entries()) {
    if (inGetter) {
      inGetter = line !== "  }";
    } else if (/^ *\/\*\*.*\*\/$/.test(line)) {
      doc = line.trim();
    } else if (/^ +get \w+\(\): \w+ \{$/.test(line)) {
      inGetter = true;
    } else if (line === "}") {
      open = codes = undefined;
    } else if (!/^(\/\/.*|import .*|export type Flag = i32;|@unmanaged| {2}@inline|)$/.test(line)) {
      const [, name, base] = line.match(/^export class (\w+)(?: extends (\w+))? \{$/) ?? [];
      const [, field, type] = line.match(/^ {2}(\w+): (\w+);$/) ?? [];
      const [, enumName] = line.match(/^export enum (\w+) \{$/) ?? [];
      const [, member] = line.match(/^ {2}(\w+),$/) ?? [];
      if (enumName) {
        codes = { doc, name: enumName, members: [] };
        enums.push(codes);
      } else if (codes && member) {
        codes.members.push({ doc, name: member });
      } else if (name) {
        open = { doc, name, base, fields: [] };
        blocks.push(open);
      } else if (open && field) {
        open.fields.push({ doc, name: field, type, place: `${path}:${i + 1}` });
      } else {
        throw new Error(`${path}:${i + 1}: not a four-byte field: ${line.trim()}`);
      }
    }
  }
  return { blocks, enums };
}
