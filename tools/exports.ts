/**
 * Reads the exports of a binary from WebAssembly's text format: their signatures, and which kernels
 * share their work among threads.
 *
 * @module
 */

/** The most parameters that a function may have: worker.ts passes so many. */
const maxArguments = 8;

/** A function of the module. */
interface Func {
  readonly parameters: readonly string[];
  readonly returns: boolean;
  /** The functions that it calls. */
  readonly calls: readonly string[];
}

/** The functions that a kernel calls to share its work (assembly/threads.ts). */
const sharing = ["threads/claim", "threads/join"];

/** The exported functions of a module in text format: their internal names by exported name. */
export function exportsOf(text: string): Map<string, string> {
  const pairs = text.matchAll(/^ \(export "(\w+)" \(func \$(\S+?)\)\)/gm);
  return new Map([...pairs].map(([, name, func]) => [name, func]));
}

/**
 * Returns the TypeScript module that declares the exports of the binaries.
 *
 * @param text The kernels, unoptimised, so that no call is inlined.
 * @throws {Error} When a function has too many parameters. It can take a block of
 * assembly/geometry.ts.
 */
export function exportsModule(text: string): string {
  const funcs = readFuncs(text);
  for (const [name, { parameters }] of funcs) {
    if (parameters.length > maxArguments && !name.startsWith("~lib/")) {
      throw new Error(
        `${name} takes ${parameters.length} parameters, more than ${maxArguments}`,
      );
    }
  }
  const exported = [...exportsOf(text)].sort(([a], [b]) => a < b ? -1 : 1);
  const names = exported.map(([name]) => name);
  const shared = exported.filter(([, func]) => reaches(funcs, func)).map(([name]) => name);
  const signatures = exported.map(([name, func]) => {
    const { parameters, returns } = funcs.get(func)!;
    const list = parameters.map((parameter) => `${parameter}: number`).join(", ");
    return `  ${name}(${list}): ${returns ? "number" : "void"};\n`;
  });
  return [
    "// Made by `deno task build` from assembly/.",
    listOf("What the binaries export.", "kernels", names),
    listOf("The kernels that hand out their work to threads.", "sharedKernels", shared),
    `/** The most parameters that an exported function may have. */\nexport const maxArguments = ${maxArguments};`,
    "/** The functions of an instance. Tensors, scratch memory and blocks are addresses. */\n" +
    `export interface Exports {\n${signatures.join("")}}`,
  ].join("\n\n") + "\n";
}

function listOf(doc: string, name: string, values: readonly string[]): string {
  const lines = values.map((value) => `  "${value}",\n`);
  return `/** ${doc} */\nexport const ${name} = [\n${lines.join("")}] as const;`;
}

function readFuncs(text: string): Map<string, Func> {
  const funcs = new Map<string, Func>();
  for (const part of text.split("\n (func $").slice(1)) {
    const [head] = part.split("\n", 1);
    funcs.set(head.split(" ", 1)[0], {
      parameters: [...head.matchAll(/\(param \$(\w+) /g)].map(([, name]) => name),
      returns: head.includes("(result "),
      calls: [...part.matchAll(/\bcall \$([^\s()]+)/g)].map(([, name]) => name),
    });
  }
  return funcs;
}

/** Whether a function shares its work, or calls one that does. */
function reaches(funcs: ReadonlyMap<string, Func>, from: string): boolean {
  const seen = new Set<string>(), next = [from];
  for (let name = next.pop(); name !== undefined; name = next.pop()) {
    if (sharing.includes(name)) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    next.push(...funcs.get(name)?.calls ?? []);
  }
  return false;
}
