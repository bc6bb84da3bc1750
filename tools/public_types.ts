/**
 * Finds the types that public signatures name, but that `mod.ts` does not export.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import ts from "npm:typescript@6.0.3";

const root = new URL("../", import.meta.url);

/** Lists each type that users cannot import, with the first export of the module that needs it. */
export function hiddenTypes(module: string): string[] {
  const file = fileURLToPath(new URL(module, root)), source = fileURLToPath(new URL("src/", root));
  const program = ts.createProgram([file], {
    allowImportingTsExtensions: true,
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts"],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    noEmit: true,
    target: ts.ScriptTarget.ESNext,
    types: [],
  });
  const checker = program.getTypeChecker();
  const resolved = (symbol: ts.Symbol) =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const names = checker.getExportsOfModule(
    checker.getSymbolAtLocation(program.getSourceFile(file)!)!,
  );
  const exported = new Set(names.map(resolved)), hidden = new Map<string, string>();
  const symbolOf = (name: ts.Node) => {
    const symbol = checker.getSymbolAtLocation(name);
    return symbol && resolved(symbol);
  };
  // a base class need not be exported, but the types of its members must be
  function* membersOfBases(node: ts.Node): Generator<ts.Node> {
    if (!ts.isClassDeclaration(node)) return;
    for (const { token, types } of node.heritageClauses ?? []) {
      if (token !== ts.SyntaxKind.ExtendsKeyword) continue;
      const bases = symbolOf(types[0].expression)?.declarations ?? [];
      for (const base of bases.filter(ts.isClassDeclaration)) {
        yield* base.members.filter((member) =>
          isPublic(member) && !ts.isConstructorDeclaration(member)
        );
        yield* membersOfBases(base);
      }
    }
  }
  for (const name of names) {
    for (
      const node of (resolved(name).declarations ?? []).flatMap((
        node,
      ) => [node, ...membersOfBases(node)])
    ) {
      for (const reference of namesIn(node)) {
        const type = symbolOf(reference), [declaration] = type?.declarations ?? [];
        if (!type || exported.has(type) || hidden.has(type.name)) continue;
        if (ts.isTypeParameterDeclaration(declaration)) continue;
        const { fileName } = declaration.getSourceFile();
        if (fileName.startsWith(source)) hidden.set(type.name, name.name);
      }
    }
  }
  return Array.from(hidden, ([type, by]) => `${type} of ${by}`);
}

/** The names of types in what a declaration shows: not in bodies and values, nor in members that are internal or protected. */
function* namesIn(node: ts.Node): Generator<ts.Node> {
  if (ts.isBlock(node) || isInternal(node) || !isPublic(node)) return;
  if (ts.isTypeReferenceNode(node)) yield node.typeName;
  if (ts.isHeritageClause(node) && ts.isClassDeclaration(node.parent)) return;
  if (ts.isExpressionWithTypeArguments(node)) yield node.expression;
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => void children.push(child));
  const value = ts.isVariableDeclaration(node) || ts.isPropertyDeclaration(node) ||
      ts.isParameter(node)
    ? node.initializer
    : undefined;
  for (const child of children) if (child !== value) yield* namesIn(child);
}

function isPublic(node: ts.Node): boolean {
  const hidden = [ts.SyntaxKind.PrivateKeyword, ts.SyntaxKind.ProtectedKeyword];
  if (ts.canHaveModifiers(node) && node.modifiers?.some(({ kind }) => hidden.includes(kind))) {
    return false;
  }
  return !(ts.isClassElement(node) && node.name && ts.isPrivateIdentifier(node.name));
}

/** Whether the comment of a member says `@internal`. */
function isInternal(node: ts.Node): boolean {
  if (!ts.isClassElement(node) && !ts.isTypeElement(node)) return false;
  return ts.getJSDocTags(node).some(({ tagName }) => tagName.text === "internal");
}
