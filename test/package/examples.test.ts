/** The examples in the doc comments of the public names: every value has one, and all of them compile. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { beforeAll, describe, expect, test } from 'vitest';
import * as engine from '../../src/index.js';
import * as files from '../../src/node/index.js';
import * as web from '../../src/web/index.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Entry {
  readonly module: string;
  readonly source: string;
  readonly values: readonly string[];
}

const ENTRIES: readonly Entry[] = [
  // The two classes of the facade are public as types; their objects come from `openQcow`.
  {
    module: 'qsnap',
    source: 'src/index.ts',
    values: [...Object.keys(engine), 'QcowImage', 'QcowDisk'],
  },
  { module: 'qsnap/node', source: 'src/node/index.ts', values: Object.keys(files) },
  { module: 'qsnap/web', source: 'src/web/index.ts', values: Object.keys(web) },
];

/** What an example may use without saying where it comes from. */
const SURROUNDINGS = `
declare const image: import('qsnap').QcowImage;
declare const disk: import('qsnap').QcowDisk;
declare const device: import('qsnap').BlockDevice;
declare const bytes: Uint8Array;
declare const error: unknown;
declare const file: Blob & { readonly name: string };
declare const writable: WritableStream<Uint8Array>;
declare const createWriteStream: typeof import('node:fs').createWriteStream;
declare const pipeline: typeof import('node:stream/promises').pipeline;
`;

interface Documented {
  readonly entry: Entry;
  readonly name: string;
  readonly examples: readonly string[];
}

const PATHS = Object.fromEntries(
  ENTRIES.map(({ module, source }) => [module, [path.join(ROOT, source)]]),
);

function optionsOf(): ts.CompilerOptions {
  const read = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file));
  const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, ROOT);
  // An example may end with what it is about.
  return { ...options, paths: PATHS, noUnusedLocals: false };
}

/** The examples in a doc comment: its blocks of TypeScript. */
function examplesIn(node: ts.Node): readonly string[] {
  const comments = ts.getJSDocCommentsAndTags(node).filter((part) => ts.isJSDoc(part));
  return comments.flatMap((comment) => {
    const text = comment.getText().replaceAll(/^ *\* ?/gm, '');
    return [...text.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!);
  });
}

function documentedIn(program: ts.Program, entry: Entry): readonly Documented[] {
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(
    program.getSourceFile(path.join(ROOT, entry.source))!,
  )!;
  const exported = new Map(checker.getExportsOfModule(module).map((one) => [one.name, one]));
  return entry.values.map((name) => {
    const symbol = exported.get(name)!;
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    const target = isAlias ? checker.getAliasedSymbol(symbol) : symbol;
    const members = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(target));
    const declared = [target, ...members].flatMap(({ declarations }) => declarations ?? []);
    return { entry, name, examples: declared.flatMap(examplesIn) };
  });
}

/** An example as a module of its own. One that imports nothing has left out all of its imports. */
function moduleOf({ entry, name }: Documented, code: string): string {
  const imports = /^import /m.test(code) ? [] : importsFor(code, entry);
  return `${imports.join(' ')} export {}; // ${name}\n${code}`;
}

/** Imports of all public values that the code names: from the given entry where that has them. */
function importsFor(code: string, first: Entry): readonly string[] {
  const known = new Set<string>();
  return [first, ...ENTRIES].flatMap(({ module, values }) => {
    const used = values.filter((value) => new RegExp(`\\b${value}\\b`).test(code));
    const needed = used.filter((value) => !known.has(value));
    for (const value of needed) known.add(value);
    return needed.length === 0 ? [] : [`import { ${needed.join(', ')} } from '${module}';`];
  });
}

/** Compiles modules that lie in no file, and tells what is wrong with them. */
function errorsIn(modules: ReadonlyMap<string, string>): readonly string[] {
  const options = optionsOf();
  const host = ts.createCompilerHost(options, true);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (file, version, ...rest) => {
    const text = modules.get(file);
    return text === undefined
      ? read(file, version, ...rest)
      : ts.createSourceFile(file, text, version, true);
  };
  const exists = host.fileExists.bind(host);
  host.fileExists = (file) => modules.has(file) || exists(file);
  const program = ts.createProgram([...modules.keys()], options, host);
  return [...modules.keys()].flatMap((file) => {
    const source = program.getSourceFile(file)!;
    const found = [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ];
    return found.map(({ messageText }) => {
      const [first] = source.text.split('\n');
      return `${first!}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
  });
}

describe('examples in doc comments', () => {
  let documented: readonly Documented[] = [];

  beforeAll(() => {
    const sources = ENTRIES.map(({ source }) => path.join(ROOT, source));
    const program = ts.createProgram(sources, optionsOf());
    documented = ENTRIES.flatMap((entry) => documentedIn(program, entry));
  }, 60_000);

  test('every public value has one', () => {
    expect(documented.length).toBeGreaterThan(40);
    const bare = documented.filter(({ examples }) => examples.length === 0);
    expect(bare.map(({ name }) => name)).toEqual([]);
  });

  test('all of them compile', () => {
    const modules = documented.flatMap((one) => one.examples.map((code) => moduleOf(one, code)));
    const named = modules.map(
      (text, i) => [path.join(ROOT, 'src', `example-${i}.ts`), text] as const,
    );
    const surroundings = path.join(ROOT, 'src', 'examples.d.ts');
    expect(errorsIn(new Map([...named, [surroundings, SURROUNDINGS]]))).toEqual([]);
  }, 60_000);

  test('one that does not compile is found', () => {
    const file = path.join(ROOT, 'src', 'example.ts');
    const code = "import { findSnapshot } from 'qsnap'; export {};\nfindSnapshot('golden');";
    expect(errorsIn(new Map([[file, code]]))).toEqual([expect.stringContaining('Expected 2')]);
  }, 60_000);
});
