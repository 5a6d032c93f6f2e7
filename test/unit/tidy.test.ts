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
  'src/base/struct.ts': '64-bit fields decode to bigint, so that any bytes decode',
  'src/base/words.ts': 'values past 2^53 are printed in full in errors',
  'src/qcow2/bitmap-directory.ts': '64-bit fields as decoded',
  'src/qcow2/features.ts': 'feature words have 64 bits',
  'src/qcow2/header.ts': 'feature words have 64 bits',
  'src/qcow2/snapshot-table.ts': 'icount and the VM clock have 64 bits',
  'src/qcow2/spec.ts': 'the value of a disabled icount',
  'src/qcow2/validate.ts': 'header fields are judged before they are narrowed',
  'src/qcow2/snapshot-table-lenient.ts': 'fields of damaged entries are kept as they are',
  'src/read/check/check-image.ts': 'where QEMU reads a 64-bit offset as a negative number',
  'src/read/check/pointer-hints.ts': 'a wrong entry is looked at with all its bits',
  'src/image/one-bit.ts': 'a wrong pointer is looked at with all its bits',
  'src/make/rescue/size-doubt.ts': 'two sizes of 64 bits are compared bit by bit',
  'src/read/check/judge-entry.ts': 'a wrong entry is printed in full',
  'src/read/check/judge-structures.ts': 'fields of damaged entries, and feature words',
  'src/edit/repair/plan-repair.ts': 'the autoclear word',
  'src/edit/repair/given-up.ts': 'the autoclear word',
  'src/make/rescue/copy-header.ts': '64-bit header fields',
  'src/make/rescue/cluster-size.ts':
    'offsets of damaged headers are judged before they are narrowed',
  'src/make/rescue/head.ts': 'fields of damaged headers are judged before they are narrowed',
  'src/make/rescue/snapshot-entries.ts':
    'sizes of damaged entries are judged before they are narrowed',
  'src/make/new/first-cluster.ts': '64-bit header fields',
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

/** Source files without a unit test of their own, and where they are tested instead. */
const TESTED_ELSEWHERE: Readonly<Record<string, RegExp>> = {
  'src/base/hints.ts': /^test\/unit\/errors\.test\.ts$/,
  'src/api/carry-out.ts': /^test\/unit\/api\/qcow-image\.test\.ts$/,
  'src/api/current-image.ts': /^test\/unit\/api\/damaged\.test\.ts$/,
  'src/api/now.ts': /^test\/unit\/api\/qcow-image\.test\.ts$/,
  'src/api/open-qcow.ts': /^test\/unit\/api\/close\.test\.ts$/,
  'src/api/options.ts': /^types only: test\/unit\/api\/qcow-image\.test\.ts$/,
  'src/api/owned-bytes.ts': /^test\/unit\/api\/qcow-image\.test\.ts$/,
  'src/api/planned-edit.ts': /^test\/unit\/api\/qcow-image\.test\.ts$/,
  'src/api/planners.ts': /^test\/unit\/api\/qcow-image\.test\.ts$/,
  'src/api/queue.ts': /^test\/unit\/api\/close\.test\.ts$/,
  'src/api/refuse.ts': /^test\/unit\/api\/qcow-disk\.test\.ts$/,
  'src/refs/refcount-table.ts': /^test\/unit\/refs\/sound-refcounts\.test\.ts$/,
  'src/refs/disk-tally.ts': /^test\/unit\/refs\/pointers\.test\.ts$/,
  'src/read/check/table-notes.ts': /^test\/oracle\/check\.test\.ts$/,
  'src/read/check/bitmap-counter.ts': /^test\/oracle\/check\.test\.ts$/,
  'src/edit/plan/next-state.ts': /^types only: test\/unit\/edit\/plan\/plan-edit\.test\.ts$/,
  // Steps of one plan: held to by every edit of every fixture.
  'src/edit/plan/place.ts': /^test\/unit\/edit\/plan\/plan-edit\.test\.ts$/,
  'src/edit/plan/new-tables.ts': /^test\/unit\/edit\/resize\/plan-resize\.test\.ts$/,
  'src/edit/plan/clusters-to-cover.ts': /^test\/oracle\/growth\.test\.ts$/,
  'src/edit/plan/tables-to-copy.ts': /^test\/unit\/edit\/plan\/plan-edit\.test\.ts$/,
  'src/edit/plan/survey.ts': /^test\/unit\/edit\/plan\/plan-edit\.test\.ts$/,
  'src/edit/plan/freed.ts': /^test\/unit\/edit\/plan\/plan-edit\.test\.ts$/,
  'src/node/late-modules.ts': /^test\/cli\/qsnap\/process\.test\.ts$/,
  // Steps of one plan, of which every state that a cut leaves is judged.
  'src/edit/plan/plan-in-place.ts': /^test\/crash\/in-place-cut\.test\.ts$/,
  'src/edit/plan/begin-in-place.ts': /^test\/crash\/in-place-cut\.test\.ts$/,
  'src/edit/plan/stages.ts': /^test\/crash\/in-place-cut\.test\.ts$/,
  'src/edit/plan/unlist.ts': /^test\/crash\/in-place-cut\.test\.ts$/,
  'src/edit/tx/staged-plan.ts': /^test\/unit\/edit\/tx\/execute-stages\.test\.ts$/,
  'src/node/files/writable.ts': /^test\/unit\/node\/files\/host-room\.test\.ts$/,
  // Parts of one plan, which the test makes of every kind of image.
  // Parts of one writer, and of one layout, which the tests make of every kind of image.
  'src/make/new/image-writer.ts': /^types only: test\/unit\/make\/new\/qcow2-writer\.test\.ts$/,
  'src/make/new/first-cluster.ts': /^test\/oracle\/create-image\.test\.ts$/,
  'src/make/new/place-empty.ts': /^test\/oracle\/create-image\.test\.ts$/,
  'src/make/new/qemu-placement.ts': /^test\/oracle\/create-image\.test\.ts$/,
  'src/make/new/refcount-area.ts': /^test\/oracle\/new-images\.test\.ts$/,
  'src/edit/resize/growth.ts': /^test\/unit\/edit\/resize\/plan-resize\.test\.ts$/,
  'src/edit/resize/refuse.ts': /^test\/unit\/edit\/resize\/plan-resize\.test\.ts$/,
  'src/edit/resize/shrink.ts': /^test\/unit\/edit\/resize\/plan-resize\.test\.ts$/,
  'src/edit/resize/tables.ts': /^test\/unit\/edit\/resize\/plan-resize\.test\.ts$/,
  'src/edit/resize/entries.ts': /^test\/unit\/edit\/resize\/plan-resize\.test\.ts$/,
  // Steps of one walk: every finding has an example, and QEMU's totals are asked for.
  'src/read/check/catalog.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/catalog-clusters.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/catalog-entries.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/catalog-entry.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/catalog-header.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/catalog-snapshots.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/judge-refcounts.ts': /^test\/oracle\/check\.test\.ts$/,
  'src/read/check/copied-flags.ts': /^test\/oracle\/check\.test\.ts$/,
  'src/read/check/count-references.ts': /^test\/oracle\/check\.test\.ts$/,
  'src/read/check/catalog-losses.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/cut-off.ts': /^test\/cli\/qsnap\/broken-images\.test\.ts$/,
  'src/read/check/emptied-tables.ts': /^test\/cli\/qsnap\/broken-images\.test\.ts$/,
  'src/read/check/excess.ts': /^test\/cli\/qsnap\/broken-images\.test\.ts$/,
  'src/read/check/losses.ts': /^test\/cli\/qsnap\/broken-images\.test\.ts$/,
  'src/edit/plan/refuse-losses.ts': /^test\/cli\/qsnap\/broken-images\.test\.ts$/,
  'src/edit/repair/given-up.ts': /^test\/cli\/qsnap\/broken-images\.test\.ts$/,
  'src/edit/repair/gives-up.ts': /^test\/cli\/qsnap\/repair-gives-up\.test\.ts$/,
  'src/edit/plan/filled.ts': /^test\/cli\/qsnap\/no-room\.test\.ts$/,
  'src/make/rescue/doubt-refcounts.ts': /^test\/unit\/make\/rescue\/refcounts-doubted\.test\.ts$/,
  'src/edit/repair/parting.ts': /^test\/unit\/edit\/repair\/remedies\.test\.ts$/,
  'src/make/rescue/size-doubt.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/read/check/finding.ts': /^types only: test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/judge-entry.ts': /^test\/oracle\/check\.test\.ts$/,
  'src/read/check/judge-structures.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/overlaps.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  'src/read/check/report.ts': /^types only: test\/oracle\/check\.test\.ts$/,
  'src/read/check/judge-refcount-table.ts': /^test\/oracle\/check\.test\.ts$/,
  'src/image/open-for-check.ts': /^test\/unit\/read\/check\/check-image\.test\.ts$/,
  // Steps of one plan: every kind of damage to every fixture is mended and judged by QEMU.
  'src/edit/repair/count.ts': /^test\/oracle\/repair\.test\.ts$/,
  'src/edit/repair/place-snapshot-table.ts': /^test\/oracle\/repair\.test\.ts$/,
  'src/edit/repair/place-tree.ts': /^test\/oracle\/repair\.test\.ts$/,
  'src/edit/repair/plan-repair.ts': /^test\/oracle\/repair\.test\.ts$/,
  'src/edit/repair/propose.ts': /^test\/cli\/qsnap\/check\.test\.ts$/,
  'src/edit/repair/refuse.ts': /^test\/oracle\/repair\.test\.ts$/,
  'src/edit/repair/free-clusters.ts': /^test\/crash\/repair-cut\.test\.ts$/,
  'src/edit/repair/stored-refcounts.ts': /^test\/oracle\/repair\.test\.ts$/,
  'src/edit/repair/released-references.ts': /^test\/oracle\/repair\.test\.ts$/,
  'src/edit/repair/decide-refcounts.ts': /^test\/oracle\/repair\.test\.ts$/,
  'src/edit/repair/tree.ts': /^test\/oracle\/repair\.test\.ts$/,
  'src/edit/repair/moves.ts': /^test\/oracle\/repair\.test\.ts$/,
  // Steps of one rescue: every kind of damage to QEMU's images, and what QEMU reads of the copy.
  'src/make/rescue/classify.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/copy-header.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/copy-table.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/fill-lost.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/find-roots.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/gather.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/head.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/layout.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/mend-pointers.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/orphans.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/plan-rescue.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/regions.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/scan-file.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/settle-roots.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/snapshot-tables.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/stored-refcounts.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/weigh.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/write-copy.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/evidence.ts': /^types only: test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/root.ts': /^test\/oracle\/rescue\.test\.ts$/,
  'src/make/rescue/lost-ranges.ts': /^test\/cli\/qsnap\/rescue\.test\.ts$/,
  'src/make/rescue/tally-table.ts': /^test\/unit\/make\/rescue\/first-look\.test\.ts$/,
  'src/edit/tx/read-back.ts': /^test\/crash\/verify\.test\.ts$/,
  'src/edit/tx/save-undo.ts': /^test\/unit\/edit\/tx\/undo\.test\.ts$/,
  'src/edit/tx/shadow-batches.ts': /^test\/unit\/edit\/tx\/execute\.test\.ts$/,
  'src/base/hasher.ts': /^types only: test\/unit\/edit\/tx\/undo\.test\.ts$/,
  'src/read/guest/disk.ts': /^types only: test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  'src/read/guest/gate.ts': /^types only: test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  'src/read/guest/layer.ts': /^types only: test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  'src/read/guest/platform.ts': /^types only: test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  // Parts of one disk: held to by every image that is read.
  'src/read/guest/backing.ts': /^test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  'src/read/guest/extents.ts': /^test\/oracle\/guest-reads\.test\.ts$/,
  'src/read/guest/l2-tables.ts': /^test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  'src/read/guest/table-pieces.ts': /^test\/oracle\/guest-reads\.test\.ts$/,
  'src/read/guest/preallocation.ts': /^test\/oracle\/parity-map\.test\.ts$/,
  'src/read/guest/qcow2-disk.ts': /^test\/oracle\/guest-reads\.test\.ts$/,
  'src/read/guest/raw-disk.ts': /^test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  'src/read/guest/read-segments.ts': /^test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  'src/read/guest/unlock.ts': /^test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  'src/read/guest/wrong-entry.ts': /^test\/unit\/read\/guest\/open-guest-disk\.test\.ts$/,
  // One contract for all platforms.
  'src/read/guest/sector-cipher.ts': /^test\/contract\/cryptography\.test\.ts$/,
  'src/read/guest/unknown-hash.ts': /^test\/contract\/cryptography\.test\.ts$/,
  'src/read/guest/zstd-frames.ts': /^test\/contract\/decompressor\.test\.ts$/,
  'src/node/cryptography.ts': /^test\/contract\/cryptography\.test\.ts$/,
  'src/node/decompressor.ts': /^test\/contract\/decompressor\.test\.ts$/,
  'src/web/cryptography.ts': /^test\/contract\/cryptography\.test\.ts$/,
  'src/web/decompressor.ts': /^test\/contract\/decompressor\.test\.ts$/,
  'src/web/hashes.ts': /^test\/contract\/cryptography\.test\.ts$/,
  'src/web/inflate.ts': /^test\/contract\/decompressor\.test\.ts$/,
  'src/web/pbkdf2.ts': /^test\/contract\/cryptography\.test\.ts$/,
  'src/web/sha256.ts': /^test\/contract\/cryptography\.test\.ts$/,
  // Steps of one copy and of one comparison, which the tests make of random disks.
  'src/make/copy/writes.ts': /^test\/unit\/make\/copy\/copy-disk\.test\.ts$/,
  'src/make/copy/compare-steps.ts': /^test\/unit\/make\/copy\/compare-disks\.test\.ts$/,
  'src/make/copy/extent-cursor.ts': /^test\/unit\/make\/copy\/compare-disks\.test\.ts$/,
  'src/image/image.ts': /^test\/unit\/image\/open\.test\.ts$/,
  'src/refs/l1-tables.ts': /^test\/unit\/refs\/tables\.test\.ts$/,
  'src/io/device.ts': /^types only: test\/contract\/device-contract\.ts$/,
  'src/io/blob.ts': /^test\/contract\/blob\.test\.ts$/,
  'src/node/files/block-size.ts': /^test\/contract\/file\.test\.ts$/,
  'src/node/files/file-calls.ts': /^test\/contract\/file\.test\.ts$/,
  'src/node/files/native.ts': /^test\/oracle\/locks\.test\.ts$/,
  'src/node/files/partial-file.ts': /^test\/unit\/node\/files\/output-file\.test\.ts$/,
  'src/node/files/file-source.ts': /^test\/unit\/node\/files\/file-device\.test\.ts$/,
  'src/node/files/open-for-edit.ts': /^test\/oracle\/locks\.test\.ts$/,
  'src/node/files/open.ts': /^test\/oracle\/locks\.test\.ts$/,
  'src/node/files/system-error.ts': /^test\/unit\/node\/files\/file\.test\.ts$/,
};

test('every source file has its unit test, or a place where it is tested instead', () => {
  const mirrored = SRC.filter((path) => !/^src\/(cli\/|((node|web)\/)?index\.ts$)/.test(path));
  const names = new Set(TESTS.map((path) => path.replace(/^test\/unit\//, '')));
  const without = mirrored.filter((path) => {
    const own = path.replace(/^src\//, '').replace(/\.ts$/, '.test.ts');
    return !names.has(own);
  });
  expect(without.filter((path) => !(path in TESTED_ELSEWHERE))).toEqual([]);
  for (const [path, where] of Object.entries(TESTED_ELSEWHERE)) {
    expect(SRC, 'the list names a file that is gone').toContain(path);
    const candidates = [...TESTS, ...TESTS.map((test) => `types only: ${test}`)];
    expect(
      candidates.some((test) => where.test(test)),
      `${path}: ${where.source}`,
    ).toBe(true);
  }
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
