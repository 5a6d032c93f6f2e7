import { describe, expect, test } from 'vitest';
import {
  computeUnsavedChanges,
  isQsnapError,
  openImage,
  snapshotsEqualToActive,
  type ErrorCode,
} from '../../src/index.js';
import { hexOfBytes } from '../../src/internal.js';
import { expectedContents, expectedJson, fixtureNames, loadFixture } from '../support/fixture.js';
import { comparableInfo, infoOf } from './qemu-info.js';
import { recordingSource } from './recording-source.js';

/** Images that are refused when they are opened; QEMU refuses them too, or has another driver. */
const REFUSED: Readonly<Record<string, ErrorCode>> = {
  'feature-incompatible-named': 'UNSUPPORTED_FEATURE',
  'feature-incompatible-unknown': 'UNSUPPORTED_FEATURE',
  'qcow-version-1': 'QCOW_VERSION_1',
};
/** Tables so damaged that nothing can be said about differences between disks. */
const TABLES_DAMAGED = new Set(['l2-past-end', 'l2-unaligned']);

const HEAD_BYTES = 64 * 1024;

describe.each(fixtureNames().filter((name) => name in REFUSED))('%s', (name) => {
  test('is refused by name, after a look at its head alone', async () => {
    const { source, batches } = recordingSource(loadFixture(name));
    const error: unknown = await openImage(source).catch((thrown: unknown) => thrown);
    expect(isQsnapError(error) && error.code).toBe(REFUSED[name]);
    expect(batches).toHaveLength(1);
    const info = expectedJson(name, 'info.json') as { format: string } | null;
    expect(info?.format).not.toBe('qcow2');
  });
});

describe.each(fixtureNames().filter((name) => !(name in REFUSED)))('%s', (name) => {
  test('is what QEMU says it is', async () => {
    const { source } = recordingSource(loadFixture(name));
    const info = expectedJson(name, 'info.json') as Record<string, unknown>;
    expect(infoOf(await openImage(source))).toEqual(comparableInfo(info));
  });

  test('has the names as bytes and the disk sizes that QEMU used', async () => {
    const { source } = recordingSource(loadFixture(name));
    const { snapshots, header } = await openImage(source);
    const { active, snapshots: expected } = expectedContents(name);
    const utf8 = new TextEncoder();
    expect(snapshots.map(({ nameBytes }) => hexOfBytes(nameBytes))).toEqual(
      expected.map((content) => content.nameHex ?? hexOfBytes(utf8.encode(content.name))),
    );
    for (const [index, content] of expected.entries()) {
      if (content.sha256 !== null)
        expect(snapshots[index]!.diskSizeBytes).toBe(content.diskSizeBytes);
    }
    if (active.sha256 !== null) expect(header.diskSizeBytes).toBe(active.sizeBytes);
  });

  test('is opened by reading its head, its snapshot table and its bitmap directory alone', async () => {
    const bytes = loadFixture(name);
    const { source, batches } = recordingSource(bytes);
    const image = await openImage(source);
    const headBytes = Math.max(HEAD_BYTES, image.geometry.clusterBytes);
    const tableAt = image.header.snapshotTable.at;
    const tableBytesMax = Math.max(4096, 4 * image.snapshotTableBytes);
    const bitmapsAt = image.extensions.find(({ kind }) => kind === 'bitmaps');
    for (const { at, length } of batches.flat()) {
      const inHead = at === 0 && length <= headBytes;
      const inTable = at === tableAt && length <= tableBytesMax;
      const inBitmaps =
        bitmapsAt?.kind === 'bitmaps' &&
        at === bitmapsAt.bitmaps.directoryAt &&
        length === bitmapsAt.bitmaps.directoryBytes;
      expect(inHead || inTable || inBitmaps, `${length} bytes at ${at}`).toBe(true);
    }
    expect(batches.length).toBeLessThanOrEqual(6);
  });

  test('H3: reading changes no byte, and the caller may go on using its array', async () => {
    const bytes = loadFixture(name);
    const before = bytes.slice();
    const { source } = recordingSource(bytes);
    const image = await openImage(source);
    await computeUnsavedChanges(image).catch(() => undefined);
    expect(Buffer.compare(bytes, before)).toBe(0);
    const after = new Uint8Array(before.length);
    await source.readBatch([{ at: 0, into: after }]);
    expect(Buffer.compare(after, before)).toBe(0);
  });

  test('says that a snapshot is the active disk only where QEMU reads the same content', async () => {
    const { source } = recordingSource(loadFixture(name));
    const image = await openImage(source);
    const { active, snapshots } = expectedContents(name);
    if (TABLES_DAMAGED.has(name)) {
      await expect(snapshotsEqualToActive(image)).resolves.toBeInstanceOf(Set);
      return;
    }
    const equal = await snapshotsEqualToActive(image);
    for (const index of equal) {
      expect({ index, sha256: snapshots[index]!.sha256 }).toEqual({ index, sha256: active.sha256 });
    }
    const unsaved = await computeUnsavedChanges(image);
    expect(unsaved === undefined).toBe(equal.size > 0 || image.snapshots.length === 0);
    const same = snapshots.some(({ sha256 }) => sha256 === active.sha256);
    if (!same && snapshots.length > 0) expect(unsaved).toBeDefined();
  });
});
