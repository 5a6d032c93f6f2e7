/** The repository's files as text and as syntax, for rules that no linter knows. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Paths below `folder`, relative to the repository, with forward slashes. */
export function filesBelow(folder: string, ending = '.ts'): string[] {
  return readdirSync(`${ROOT}${folder}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => `${entry.parentPath}/${entry.name}`.replaceAll('\\', '/').slice(ROOT.length))
    .sort();
}

export function textOf(path: string): string {
  return readFileSync(`${ROOT}${path}`, 'utf8');
}

const parsed = new Map<string, ts.SourceFile>();

export function syntaxOf(path: string): ts.SourceFile {
  const known = parsed.get(path);
  if (known !== undefined) return known;
  const file = ts.createSourceFile(path, textOf(path), ts.ScriptTarget.ES2022, true);
  parsed.set(path, file);
  return file;
}

/** Every node of a file, comments left out. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of node.getChildren()) {
    if (child.kind !== ts.SyntaxKind.JSDoc) yield* nodesOf(child);
  }
}

/** Lines of a file on which a node is found that `test` is true for, as `path:line`. */
export function placesOf(path: string, test: (node: ts.Node) => boolean): string[] {
  const file = syntaxOf(path);
  const places = [...nodesOf(file)].filter(test).map((node) => {
    return `${path}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
  });
  return [...new Set(places)];
}

export function isNamed(node: ts.Node, ...names: readonly string[]): boolean {
  return ts.isIdentifier(node) && names.includes(node.text);
}

/** A string of the program with `undefined` where a value is put in; parts joined by `+` are one. */
type Pattern = readonly (string | undefined)[];

/** All strings and templates of a file. */
export function patternsOf(path: string): Pattern[] {
  const patterns: Pattern[] = [];
  const visit = (node: ts.Node): void => {
    const pattern = patternOf(node);
    if (pattern === undefined) node.forEachChild(visit);
    else patterns.push(pattern);
  };
  visit(syntaxOf(path));
  return patterns;
}

function patternOf(node: ts.Node): Pattern | undefined {
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isTemplateExpression(node)) {
    return [
      node.head.text,
      ...node.templateSpans.flatMap(({ literal }) => [undefined, literal.text]),
    ];
  }
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.PlusToken) {
    return undefined;
  }
  const [left, right] = [patternOf(node.left), patternOf(node.right)];
  if (left === undefined && right === undefined) return undefined;
  return [...(left ?? [undefined]), ...(right ?? [undefined])];
}
