import { posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/errors.js';
import { fixtureNames, recipe } from '../support/fixture.js';
import { filesBelow, isNamed, patternsOf, placesOf, syntaxOf, textOf } from './source-tree.js';

/** The rules that no linter knows. Where one names exceptions, each has its reason. */
const SRC = filesBelow('src');
const ENGINE = SRC.filter((path) => !/^src\/(cli|node)\//.test(path));
const TESTS = filesBelow('test');

const places = (paths: readonly string[], rule: (node: ts.Node) => boolean): string[] =>
  paths.flatMap((path) => placesOf(path, rule));

describe('layers', () => {
  test('pure folders are synchronous: no async, await or Promise', () => {
    const pure = SRC.filter((path) => /^src\/(base|qcow2|l1l2|refcount)\//.test(path));
    expect(pure.length).toBeGreaterThan(15);
    const asynchronous = (node: ts.Node): boolean =>
      node.kind === ts.SyntaxKind.AsyncKeyword ||
      ts.isAwaitExpression(node) ||
      isNamed(node, 'Promise');
    expect(places(pure, asynchronous)).toEqual([]);
  });

  test('the engine runs anywhere: no Buffer, no process, no node: import', () => {
    const ofNode = (node: ts.Node): boolean =>
      isNamed(node, 'Buffer', 'process', 'require', '__dirname', 'setImmediate') ||
      (ts.isStringLiteral(node) && node.text.startsWith('node:'));
    expect(places(ENGINE, ofNode)).toEqual([]);
  });

  test('time and chance come from outside, except in the command line', () => {
    const unsure = (node: ts.Node): boolean =>
      (ts.isPropertyAccessExpression(node) &&
        /^(Date\.now|Math\.random|performance\.now|crypto\.\w+)$/.test(node.getText())) ||
      (ts.isNewExpression(node) &&
        isNamed(node.expression, 'Date') &&
        (node.arguments ?? []).length === 0);
    // The date of a snapshot is now where a program that uses `src/api` gives none.
    const outside = SRC.filter((path) => !/^src\/(cli\/|api\/now\.ts$)/.test(path));
    expect(places(outside, unsure)).toEqual([]);
  });
});

/** Files that may use BigInt, and what for. Never for what happens once per table entry. */
const BIGINT_ALLOWED: Readonly<Record<string, string>> = {
  'src/node/files/identity.ts': 'dates of files are 64-bit nanoseconds',
  'src/read/timeline/judge-dates.ts': 'spans of 64-bit nanoseconds',
  'src/read/timeline/moments.ts': 'nanoseconds since 1970 beyond 2^53',
  'src/base/struct.ts': '64-bit fields decode to bigint, so that any bytes decode',
  'src/base/words.ts': 'values past 2^53 are printed in full in errors',
  'src/qcow2/bitmap-directory.ts': '64-bit fields as decoded',
  'src/qcow2/encode-bitmaps.ts': '64-bit fields as encoded',
  'src/edit/bitmaps/plan-with-bitmaps.ts': 'feature words have 64 bits',
  'src/qcow2/features.ts': 'feature words have 64 bits',
  'src/edit/header/plan-data-file.ts': 'feature words have 64 bits',
  'src/edit/header/plan-lazy-refcounts.ts': 'feature words have 64 bits',
  'src/edit/version/plan-version.ts': 'feature words have 64 bits',
  'src/edit/version/refuse-downgrade.ts': 'feature words have 64 bits',
  'src/qcow2/header.ts': 'feature words have 64 bits',
  'src/qcow2/snapshot-table.ts': 'icount and the VM clock have 64 bits',
  'src/qcow2/spec.ts': 'the value of a disabled icount',
  'src/qcow2/validate.ts': 'header fields are judged before they are narrowed',
  'src/qcow2/snapshot-table-lenient.ts': 'fields of damaged entries are kept as they are',
  'src/read/dump/dump-bitmaps.ts': '64-bit fields as stored',
  'src/read/dump/dump-disks.ts': 'L1 offsets as stored',
  'src/read/dump/dump-image.ts': 'header fields as stored',
  'src/read/dump/dump-snapshots.ts': 'the table offset as stored',
  'src/read/dump/dumpable.ts': 'header fields as stored',
  'src/read/dump/header-fields.ts': 'header fields as stored',
  'src/read/dump/piece.ts': '64-bit fields as stored',
  'src/read/dump/snapshot-fields.ts': 'offsets of damaged entries are judged as stored',
  'src/read/locate/locate-guest.ts': 'an entry is told with all its bits',
  'src/read/check/check-image.ts': 'where QEMU reads a 64-bit offset as a negative number',
  'src/read/check/pointer-hints.ts': 'a wrong entry is looked at with all its bits',
  'src/vmstate/device.ts': 'fields of devices have 64 bits',
  'src/vmstate/elf-core.ts': '64-bit fields of a core file',
  'src/vmstate/memory-files.ts': '64-bit addresses in LiME heads',
  'src/vmstate/registers.ts': 'registers have 64 and 128 bits',
  'src/vmstate/screen.ts': 'fields of devices have 64 bits',
  'src/image/one-bit.ts': 'a wrong pointer is looked at with all its bits',
  'src/make/rescue/size-doubt.ts': 'two sizes of 64 bits are compared bit by bit',
  'src/read/check/judge-entry.ts': 'a wrong entry is printed in full',
  'src/read/check/judge-structures.ts': 'fields of damaged entries, and feature words',
  'src/edit/repair/assemble-plan.ts': 'the autoclear word',
  'src/edit/repair/image-without.ts': 'the autoclear word',
  'src/make/rescue/copy-header.ts': 'the VM clock of an entry that was lost',
  'src/make/new/carried-header.ts': '64-bit header fields',
  'src/make/compact/write-new.ts': '64-bit fields of a header extension',
  'src/make/rescue/cluster-size.ts':
    'offsets of damaged headers are judged before they are narrowed',
  'src/make/rescue/head.ts': 'fields of damaged headers are judged before they are narrowed',
  'src/read/scan/find-other.ts':
    'fields of headers that were found are judged before they are narrowed',
  'src/read/scan/recovered-disk.ts': 'the VM clock of a disk that has no entry',
  'src/read/scan/snapshot-entries.ts':
    'sizes of damaged entries are judged before they are narrowed',
  'src/make/new/first-cluster.ts': '64-bit header fields',
  'src/edit/header/header-area.ts': '64-bit header fields',
  'src/edit/tx/undo-file.ts': '64-bit fields of the undo file',
  'src/image/open-for-check.ts': 'fields are judged before they are narrowed',
  'src/image/damage.ts': 'a wrong entry is printed in full',
  'src/refs/sound-refcounts.ts': 'a wrong entry is printed in full',
  'src/edit/plan/autoclear.ts': 'the autoclear word',
  'src/edit/plan/refuse.ts': 'the autoclear word',
  'src/edit/plan/ledger.ts': 'the highest refcount of 64 bits is printed in full',
  'src/edit/snapshot/create.ts': 'the VM clock of a new entry',
  'src/edit/snapshot/names.ts': 'ids may be longer numbers than 2^53',
  'src/node/files/system-error.ts': 'device and inode numbers have 64 bits',
  'src/node/files/proc-locks.ts': 'device and inode numbers have 64 bits',
  'src/node/files/lock.ts': 'device and inode numbers have 64 bits',
  'src/node/files/block-size.ts': 'sizes that the system gives',
  'src/node/files/file.ts': 'sizes that the system gives',
  'src/node/files/file-device.ts': 'sizes that the system gives',
};

test('BigInt is used only where the list says why', () => {
  const usesBigInt = (node: ts.Node): boolean =>
    ts.isBigIntLiteral(node) || isNamed(node, 'BigInt');
  const users = SRC.filter((path) => !path.startsWith('src/cli/')).filter(
    (path) => placesOf(path, usesBigInt).length > 0,
  );
  expect(users.filter((path) => !(path in BIGINT_ALLOWED))).toEqual([]);
  const needless = ['src/l1l2/', 'src/refcount/'].flatMap((folder) =>
    users.filter((path) => path.startsWith(folder)),
  );
  expect(needless).toEqual([]);
});

describe('files', () => {
  test('no leftover marks', () => {
    // Spelled in parts, so that this file does not find itself.
    const words = [
      ['TO', 'DO'],
      ['FIX', 'ME'],
      ['X', 'XX'],
    ].map((parts) => parts.join(''));
    const marks = new RegExp(`\\b(${words.join('|')})\\b`);
    const paths = [...SRC, ...TESTS, ...filesBelow('docs', '.md'), ...filesBelow('bench')];
    expect(paths.filter((path) => marks.test(textOf(path)))).toEqual([]);
  });

  test('no file or folder whose name says nothing', () => {
    const empty = /(^|\/)(utils?|helpers?|common|misc|shared|lib|stuff)([./-]|$)/;
    const paths = [...SRC, ...TESTS, ...filesBelow('fixtures'), ...filesBelow('bench')];
    expect(paths.filter((path) => empty.test(path))).toEqual([]);
  });

  // What a machine has no means for is left out by `describeUnless`, which says so.
  test('no test is left out in silence, or alone', () => {
    const aside = (node: ts.Node): boolean =>
      ts.isPropertyAccessExpression(node) &&
      /^(test|it|describe)(\.\w+)*\.(only|skip|todo|fails|runIf|skipIf)$/.test(node.getText());
    expect(places(TESTS, aside)).toEqual([]);
  });

  test('every fixture has a recipe with a purpose', () => {
    for (const name of fixtureNames()) expect(recipe(name).purpose, name).not.toBe('');
  });
});

describe('errors', () => {
  const codes = Object.keys(ERROR_CODES);
  const page = textOf('docs/errors.md');
  const sections = page.split(/^### /m).slice(1);
  const documented = sections.map((section) => section.slice(0, section.indexOf('\n')));

  test('docs/errors.md explains every code, and no other', () => {
    expect(documented.toSorted()).toEqual(codes.toSorted());
  });

  test.each(sections.map((section) => [section.split('\n')[0]!, section]))(
    '%s: meaning, cause, what to do, and a sentence that the program can print',
    (code, section) => {
      expect(section).toMatch(
        /^- Means: .+\n( {2}.+\n)*- Cause: .+\n( {2}.+\n)*- Do: .+\n( {2}.+\n)*- Printed: /m,
      );
      const kind = page
        .slice(0, page.indexOf(`### ${code}\n`))
        .match(/^## Kind `(\w+)`/gm)
        ?.at(-1);
      expect(kind).toBe(`## Kind \`${ERROR_CODES[code as keyof typeof ERROR_CODES]}\``);
      const printed = /- Printed: `qsnap: (.+)`/.exec(section)![1]!;
      const sentences = [printed, printed.replace(/^\S+: /, '')];
      expect(
        SENTENCES.some((pattern) => sentences.some((text) => pattern.test(text))),
        printed,
      ).toBe(true);
    },
  );

  test('every code is thrown by some source file and expected by some test', () => {
    const mentions = (paths: readonly string[], code: string): boolean =>
      paths.some((path) => new RegExp(`'${code}'`).test(textOf(path)));
    const sources = SRC.filter((path) => path !== 'src/errors.ts' && !path.startsWith('src/cli/'));
    const tests = TESTS.filter((path) => path.endsWith('.test.ts') || /ordeal|contract/.test(path));
    expect
      .soft(
        codes.filter((code) => !mentions(sources, code)),
        'never thrown',
      )
      .toEqual([]);
    expect
      .soft(
        codes.filter((code) => !mentions(tests, code)),
        'never expected',
      )
      .toEqual([]);
  });
});

/** Every text of the engine with some words of its own, as a pattern for whole sentences. */
const SENTENCES: readonly RegExp[] = SRC.flatMap((path) => patternsOf(path))
  .filter((parts) => parts.join('').length >= 6)
  .map((parts) => {
    const source = parts.map((part) => (part === undefined ? '.*' : escaped(part))).join('');
    return new RegExp(`^${source}$`);
  });

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

/** Titles in docs/interop/qcow2.rst of QEMU: sections, and tables that have a name. */
const SPEC_TITLES = [
  'Header',
  'Additional fields',
  'Header padding',
  'Header extensions',
  'String header extensions',
  'Feature name table',
  'Bitmaps extension',
  'Full disk encryption header pointer',
  'Data encryption',
  'Host cluster management',
  'Refcount table entry',
  'Refcount block entry',
  'Cluster mapping',
  'L1 table entry',
  'L2 table entry',
  'Standard Cluster Descriptor',
  'Compressed Clusters Descriptor',
  'Extended L2 Entries',
  'Subcluster Allocation Bitmap',
  'Snapshots',
  'Snapshot table entry',
  'Bitmaps',
  'Bitmap directory',
  'Bitmap table',
  'Bitmap data',
  'Dirty tracking bitmaps',
  // Other documents.
  'RFC 8878',
  'RFC 9110',
  'LUKS1 on-disk format specification',
];

describe('comments', () => {
  test('every citation of the specification names a section that it has', () => {
    const cited = SRC.flatMap((path) =>
      [...textOf(path).matchAll(/\bSpec: ([^.;,:\n*]+)/g)].map(([, title]) => ({
        path,
        title: title!.trim(),
      })),
    );
    expect(cited.length).toBeGreaterThan(25);
    expect(cited.filter(({ title }) => !SPEC_TITLES.includes(title))).toEqual([]);
  });

  test('every name of the public surface has a doc comment where it is declared', () => {
    const surface = ['src/index.ts', 'src/node/index.ts', 'src/web/index.ts'].flatMap((path) =>
      exportsOf(path),
    );
    expect(surface.length).toBeGreaterThan(40);
    const bare = surface.filter(({ path, name }) => {
      const declared = declarationOf(path, name);
      return declared === undefined || ts.getJSDocCommentsAndTags(declared).length === 0;
    });
    expect(bare).toEqual([]);
  });
});

/** Names that a file exports from others, and the files that declare them. */
function exportsOf(path: string): { path: string; name: string }[] {
  return syntaxOf(path).statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement)) return [];
    const { moduleSpecifier, exportClause } = statement;
    if (moduleSpecifier === undefined || !ts.isStringLiteral(moduleSpecifier)) return [];
    if (exportClause === undefined || !ts.isNamedExports(exportClause)) return [];
    const from = posix.join(posix.dirname(path), moduleSpecifier.text).replace(/\.js$/, '.ts');
    return exportClause.elements.map(({ name }) => ({ path: from, name: name.text }));
  });
}

function declarationOf(path: string, name: string): ts.Statement | undefined {
  return syntaxOf(path).statements.find((statement) => {
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.some((one) => one.name.getText() === name);
    }
    return 'name' in statement && isNamed(statement.name as ts.Node, name);
  });
}
