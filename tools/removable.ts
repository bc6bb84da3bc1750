/**
 * Rewrites the files of a package so that bundlers can remove what a program does not use.
 *
 * @module
 */

import ts from "npm:typescript@6.0.3";

/** A name in the file that exports it, and in the one that imports it. */
type Names = readonly (readonly [from: string, to: string])[];

/**
 * Marks all that a file computes when it is loaded as free of effects. Most bundlers cannot see that
 * of a call, and webpack and Rspack not of a class with a computed name such as `[Symbol.dispose]`.
 * They would keep it, and everything that it refers to.
 *
 * @param text A file that esbuild writes if it does not minify.
 */
export function withoutEffects(text: string): string {
  return withPureValues(withClassNames(text));
}

/** Gives classes that refer to themselves the names of the source: esbuild writes `var A = class _A`. */
function withClassNames(text: string): string {
  const file = ts.createSourceFile("bundle.js", text, ts.ScriptTarget.Latest, true);
  const uses: (readonly [ts.Identifier, name: string])[] = [];
  const visit = (node: ts.Node, names: ReadonlyMap<string, string>) => {
    const name = ts.isIdentifier(node) && !isKey(node) && names.get(node.text);
    if (name) uses.push([node, name]);
    const inner = ts.isVariableDeclaration(node)
      ? new Map([...names, ...namesInside(node)])
      : names;
    ts.forEachChild(node, (child) => visit(child, inner));
  };
  visit(file, new Map());
  return uses.reduceRight((changed, [node, name]) => {
    return changed.slice(0, node.getStart(file)) + name + changed.slice(node.end);
  }, text);
}

/** The name that a class of esbuild's has inside, and the one that it should have. */
function namesInside({ name, initializer }: ts.VariableDeclaration): Names {
  if (!initializer || !ts.isClassExpression(initializer) || !ts.isIdentifier(name)) return [];
  const own = initializer.name?.text;
  return own?.replace(/\d+$/, "") === `_${name.text}` ? [[own, name.text]] : [];
}

/** Whether an identifier is the key of a property, as in `object.key`. */
function isKey(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isBindingElement(parent) && parent.propertyName === node) return true;
  return "name" in parent && parent.name === node && !ts.isClassExpression(parent);
}

/** Marks values at the top level as free of effects. */
function withPureValues(text: string): string {
  const file = ts.createSourceFile("bundle.js", text, ts.ScriptTarget.Latest);
  const values = file.statements.filter(ts.isVariableStatement)
    .flatMap(({ declarationList }) => declarationList.declarations)
    .filter(({ initializer }) => initializer && mayHaveEffects(initializer));
  return values.reduceRight((changed, { name, initializer }) => {
    const { pos, end } = initializer!,
      [before, after] = [changed.slice(0, pos), changed.slice(end)];
    const value = changed.slice(pos, end).trimStart();
    // the name that a class takes from its variable
    const named = value.replace(/^class(?= (\{|extends\b))/, () => `class ${name.getText(file)}`);
    const body = named.startsWith("{") ? `(${named})` : named;
    return `${before} /* @__PURE__ */ (() => ${body})()${after}`;
  }, text);
}

/** Whether a bundler may find effects in an expression. */
function mayHaveEffects(node: ts.Node): boolean {
  if (ts.isFunctionExpression(node) || ts.isArrowFunction(node)) return false;
  const isEffect = ts.isClassExpression(node) || ts.isCallExpression(node) ||
    ts.isNewExpression(node) || ts.isSpreadElement(node) || ts.isSpreadAssignment(node);
  return isEffect || ts.forEachChild(node, mayHaveEffects) === true;
}

/**
 * Changes how lazy files get what they share with the rest: as arguments, instead of by an import.
 *
 * Most bundlers keep everything that a lazy file imports, in every program, even if nothing loads
 * that file. After this change, only the function that loads it refers to what it needs.
 *
 * The default export of a lazy file becomes a function, which takes what the file imported from the
 * shared one, and returns what it exported. In the shared file, each import of it calls that function.
 *
 * @param files The files that esbuild writes if it does not minify, by name.
 * @param shared The name of the shared file.
 * @param lazy The names of the lazy files.
 */
export function withArguments(
  files: Readonly<Record<string, string>>,
  shared: string,
  lazy: readonly string[],
): Record<string, string> {
  const changed = { ...files };
  const localNames = new Map(
    namesIn(find(files[shared], exportList)[1]).map(([local, name]) => [name, local]),
  );
  for (const file of lazy) {
    const text = files[file];
    const [importing, imports] = find(text, importFrom(shared));
    const [exporting, exports] = find(text, exportList);
    const parameters = namesIn(imports);
    const body = text.replace(importing, "").replace(exporting, "\n");
    if (/^import\b/m.test(body)) throw new Error(`${file} also imports another file`);
    const returned = namesIn(exports).map(([local, name]) => [name, local] as const);
    changed[file] = `var made;
export default (shared) => made ??= make(shared);
var make = (${objectOf(parameters)}) => {
${body}return ${objectOf(returned)};
};
`;
    const handed = objectOf(parameters.map(([name]) => [name, localNames.get(name)!]));
    const loading = `await import("./${file}")`;
    if (!changed[shared].includes(loading)) throw new Error(`${shared} does not load ${file}`);
    // by a function, because names may contain $
    const call = `(${loading}).default(${handed})`;
    changed[shared] = changed[shared].replaceAll(loading, () => call);
  }
  return changed;
}

/** The list of exports at the end of a file. */
const exportList = /\nexport \{([^}]*)\};\n$/;

/** An import of names from a file. */
function importFrom(file: string): RegExp {
  return new RegExp(`^import \\{([^}]*)\\} from "\\./${file.replaceAll(".", "\\.")}";\n`, "m");
}

/** The names in `a, b as c`. */
function namesIn(list: string): Names {
  return list.split(",").map((item) => item.trim()).filter(Boolean).map((item) => {
    const [from, to = from] = item.split(" as ");
    return [from, to];
  });
}

/** `{ a, b: c }`, as an expression or as a pattern. */
function objectOf(names: Names): string {
  return `{ ${names.map(([key, name]) => key === name ? key : `${key}: ${name}`).join(", ")} }`;
}

/** The first match. Throws if there is none: then esbuild writes something else than before. */
function find(text: string, pattern: RegExp): RegExpExecArray {
  const match = pattern.exec(text);
  if (!match) throw new Error(`a file of the bundle does not contain ${pattern}`);
  return match;
}
