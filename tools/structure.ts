/**
 * Measures the structure of the code: public exports, file sizes, argument lists, and imports that
 * form cycles or point the wrong way.
 *
 *     deno task structure
 *
 * @module
 */

import ts from "npm:typescript@6.0.3";

/** The limits that no change may exceed. */
export const limits = {
  /** Values that mod.ts exports: types take no space in a page. */
  exports: 172,
  /** Lines of a source file. */
  lines: 340,
  /** Lines of a test file. */
  testLines: 480,
  /** Arguments of a call or parameters of a function, outside tests. */
  arguments: 8,
  /** Import cycles, `import type` included. */
  cycles: 0,
  /** Imports that the layers forbid. */
  wrongImports: 0,
};

/** The measured structure, with the place of each figure. */
export interface Structure {
  readonly exports: readonly string[];
  readonly largestFile: Place;
  readonly largestTest: Place;
  readonly longestArguments: Place;
  readonly cycles: readonly (readonly string[])[];
  readonly wrongImports: readonly string[];
}

/** A figure, and the file or line it belongs to. */
interface Place {
  readonly count: number;
  readonly where: string;
}

const root = new URL("../", import.meta.url);

/** Folders and files whose code is measured. */
const sources = [
  "assembly",
  "bench",
  "cli.ts",
  "examples",
  "mod.ts",
  "src",
  "tests",
  "tools",
  "weights",
];

/** Files that are data, or generated. */
const data = /\/generated\/|imagenet_classes\.ts$|\/(dist|fixtures|cases)\//;

/**
 * The folders of src/. Each imports only from lines below its own, and all import the files beside
 * them. docs/architecture.md has the same list.
 */
export const levels: readonly (readonly string[])[] = [
  ["cli"],
  ["hub", "serve"],
  ["train", "explain"],
  ["models"],
  ["layers"],
  ["ops"],
  ["backend", "weights", "image"],
  ["io"],
];

/** Other forbidden imports: paths of the importing file, and of the imported one. */
const forbidden: readonly (readonly [importer: RegExp, imported: RegExp])[] = [
  [/^src\//, /^(weights|bench|tests|tools|examples|cli\.ts|mod\.ts)/],
  [/^bench\//, /^tests\//],
  [/^(examples|weights\/recipe)\//, /^src\/(?!(image|hub|serve)\/mod\.ts$)/],
  [/^src\/(layers|ops|backend)\//, /^src\/(weights|image|io)\//],
  // pages load ImageNet's names with a network, if at all
  [
    /^src\/(train\/|models\/(classifier|classify|load_model|alexnet_tiny|resnet_tiny)\.ts)/,
    /^src\/models\/class_names\.ts$/,
  ],
];

/** Measures the working tree. */
export function measureStructure(): Structure {
  const files = sources.flatMap((path) => [...typeScriptFiles(path)]);
  const imports = new Map<string, string[]>();
  const sizes: Place[] = [], argumentLists: Place[] = [];
  for (const path of files) {
    const text = Deno.readTextFileSync(new URL(path, root));
    const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    sizes.push({ count: text.split("\n").length - 1, where: path });
    imports.set(path, importsOf(file, path));
    if (!path.startsWith("tests/")) argumentLists.push(...argumentListsOf(file));
  }
  return {
    exports: publicNames(),
    largestFile: largest(sizes.filter(({ where }) => !where.startsWith("tests/"))),
    largestTest: largest(sizes.filter(({ where }) => where.startsWith("tests/"))),
    longestArguments: largest(argumentLists),
    cycles: cyclesOf(imports),
    wrongImports: [...imports].flatMap(([importer, all]) =>
      all
        .filter((imported) => isForbidden(importer, imported))
        .map((imported) => `${importer} imports ${imported}`)
    ),
  };
}

/** Whether a file may not import another one. */
export function isForbidden(importer: string, imported: string): boolean {
  if (forbidden.some(([from, to]) => from.test(importer) && to.test(imported))) return true;
  if (!importer.startsWith("src/")) return false;
  const [from, to] = [importer, imported].map((path) => /^src\/(\w+)\//.exec(path)?.[1]);
  if (to === undefined || to === from) return false;
  const levelOf = (folder: string) => levels.findIndex((level) => level.includes(folder));
  return from === undefined || levelOf(to) <= levelOf(from);
}

/** The figures that exceed their limits, one line each. */
export function violations(structure: Structure): string[] {
  const { largestFile, largestTest, longestArguments, cycles, wrongImports } = structure;
  const over = (what: string, { count, where }: Place, limit: number) =>
    count > limit ? [`${what}: ${count} in ${where}, at most ${limit}`] : [];
  return [
    ...over("exports", { count: structure.exports.length, where: "mod.ts" }, limits.exports),
    ...over("lines", largestFile, limits.lines),
    ...over("lines of a test", largestTest, limits.testLines),
    ...over("arguments", longestArguments, limits.arguments),
    ...(cycles.length > limits.cycles ? cycles.map((c) => `cycle: ${c.join(" → ")}`) : []),
    ...(wrongImports.length > limits.wrongImports ? wrongImports : []),
  ];
}

function* typeScriptFiles(path: string): Generator<string> {
  if (path.endsWith(".ts")) {
    if (!data.test(path) && !path.endsWith(".d.ts")) yield path;
    return;
  }
  for (const { name, isDirectory } of Deno.readDirSync(new URL(path, root))) {
    const below = `${path}/${name}`;
    if (isDirectory ? !data.test(`${below}/`) : name.endsWith(".ts")) yield* typeScriptFiles(below);
  }
}

/** The files that a file imports or re-exports, including types and dynamic imports of literals. */
function importsOf(file: ts.SourceFile, path: string): string[] {
  const specifiers: string[] = [];
  const visit = (node: ts.Node): void => {
    let target: ts.Node | undefined;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) target = node.moduleSpecifier;
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      target = node.arguments[0];
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      target = node.argument.literal;
    }
    if (target && ts.isStringLiteral(target)) specifiers.push(target.text);
    ts.forEachChild(node, visit);
  };
  visit(file);
  const local = specifiers.filter((specifier) => specifier.startsWith("."));
  return local.map((specifier) => {
    const found = new URL(specifier, new URL(path, root)).href.slice(root.href.length);
    return /\bassembly\//.test(path) ? `${found}.ts` : found; // AssemblyScript omits the extension
  });
}

/** Every call and every list of parameters. */
function argumentListsOf(file: ts.SourceFile): Place[] {
  const lists: Place[] = [];
  const visit = (node: ts.Node): void => {
    const list = isInstruction(node)
      ? undefined
      : ts.isCallExpression(node) || ts.isNewExpression(node)
      ? node.arguments
      : ts.isFunctionLike(node)
      ? node.parameters
      : undefined;
    if (list) {
      const line = file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
      lists.push({ count: list.length, where: `${file.fileName}:${line}` });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return lists;
}

/** Whether a node is a call of a SIMD instruction: a shuffle has 16 lanes as immediate operands. */
function isInstruction(node: ts.Node): boolean {
  return ts.isCallExpression(node) && /^(v128|[if]\d+x\d+)\.shuffle$/.test(
    node.expression.getText(node.getSourceFile()),
  );
}

/** The names of the values that mod.ts exports. It must list each of them. */
function publicNames(): string[] {
  const text = Deno.readTextFileSync(new URL("mod.ts", root));
  const file = ts.createSourceFile("mod.ts", text, ts.ScriptTarget.Latest);
  return file.statements.filter(ts.isExportDeclaration).flatMap(({ exportClause, isTypeOnly }) => {
    if (isTypeOnly) return [];
    if (!exportClause || !ts.isNamedExports(exportClause)) {
      throw new Error("mod.ts exports names without listing them");
    }
    const values = exportClause.elements.filter((name) => !name.isTypeOnly);
    return values.map(({ name }) => name.text);
  });
}

/** Strongly connected components of several files, and files that import themselves. */
export function cyclesOf(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  // Tarjan's algorithm
  const cycles: string[][] = [], stack: string[] = [];
  const order = new Map<string, number>(), low = new Map<string, number>();
  const connect = (file: string): void => {
    order.set(file, order.size);
    low.set(file, order.get(file)!);
    stack.push(file);
    for (const next of imports.get(file) ?? []) {
      if (!imports.has(next)) continue;
      if (!order.has(next)) connect(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    if (low.get(file) !== order.get(file)) return;
    const component = stack.splice(stack.indexOf(file));
    if (component.length > 1 || imports.get(file)!.includes(file)) cycles.push(component);
  };
  for (const file of imports.keys()) if (!order.has(file)) connect(file);
  return cycles;
}

function largest(places: readonly Place[]): Place {
  return places.reduce((a, b) => b.count > a.count ? b : a);
}

if (import.meta.main) {
  const structure = measureStructure();
  const { largestFile, largestTest, longestArguments, cycles, wrongImports } = structure;
  console.log(`values of mod.ts       ${structure.exports.length}`);
  console.log(`largest file           ${largestFile.count} lines, ${largestFile.where}`);
  console.log(`largest test           ${largestTest.count} lines, ${largestTest.where}`);
  console.log(`longest argument list  ${longestArguments.count}, ${longestArguments.where}`);
  console.log(`import cycles          ${cycles.length}`);
  console.log(`forbidden imports      ${wrongImports.length}`);
  for (const line of violations(structure)) console.error(`error: ${line}`);
  if (violations(structure).length > 0) Deno.exit(1);
}
