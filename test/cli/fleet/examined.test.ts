/** What a reading tells for the catalogue, and how two readings differ. */
import { expect, test } from 'vitest';
import { changesBetween, type KnownImage } from '../../../src/cli/fleet/changes.js';
import { backingLocationOf } from '../../../src/cli/fleet/examine/backing-location.js';
import { examineImage } from '../../../src/cli/fleet/examine/examine-image.js';
import type { ImageRecord } from '../../../src/cli/fleet/examine/record.js';
import { profileOf } from '../../../src/index.js';
import { imageOf } from '../qsnap/harness.js';

const recordOf = (path: string): Promise<ImageRecord> =>
  examineImage(path, { policy: profileOf('host-backup'), now: 0, forceShare: false, hash: true });

test.each([
  ['/srv/vm/top.qcow2', 'base.qcow2', '/srv/vm/base.qcow2'],
  ['/srv/vm/top.qcow2', '../base.qcow2', '/srv/base.qcow2'],
  ['/srv/vm/top.qcow2', '/data/base.qcow2', '/data/base.qcow2'],
  ['/srv/vm/top.qcow2', 'file:/data/base.qcow2', '/data/base.qcow2'],
  ['/srv/vm/top.qcow2', 'http://host/base.qcow2', 'http://host/base.qcow2'],
  ['/srv/vm/top.qcow2', 'nbd:localhost:10809', undefined],
  ['/srv/vm/top.qcow2', 'json:{"driver":"raw"}', undefined],
  ['/srv/vm/top.qcow2', 'a\0b', undefined],
  ['/srv/vm/top.qcow2', '', undefined],
  ['/srv/vm/top.qcow2', undefined, undefined],
  ['https://host/top.qcow2', 'base.qcow2', undefined],
])('of %s the backing file %j is %j', (location, name, wanted) => {
  expect(backingLocationOf(location, name)).toBe(wanted);
});

const KNOWN: KnownImage = {
  have: 1,
  state: 'read',
  file_bytes: 1000,
  virtual_bytes: 2000,
  is_dirty: false,
  is_corrupt: false,
  backing_name: null,
  error_code: null,
};

test('a first reading is no change, and neither is the same again', async () => {
  const record = await recordOf(imageOf('five-snapshots'));
  expect(changesBetween({ ...KNOWN, have: 0 }, [], record)).toEqual([]);
  const { facts } = record;
  const known = { ...KNOWN, file_bytes: facts!.fileBytes, virtual_bytes: facts!.virtualBytes };
  const disks = record.disks.map((one) => ({
    position: one.position,
    snapshot_id: one.snapshotId ?? null,
    name: one.name ?? null,
    taken_at: one.takenAt ?? null,
    taken_nanoseconds: one.takenNanoseconds ?? null,
    content_sha256: one.contentSha256 ?? null,
  }));
  expect(changesBetween(known, disks, record)).toEqual([]);
  const other = disks.map((one) => (one.position === 0 ? { ...one, content_sha256: 'x' } : one));
  const [first, ...rest] = changesBetween(
    { ...known, virtual_bytes: 1, is_corrupt: true, error_code: 'IMAGE_IN_USE' },
    other.filter(({ position }) => position !== 2).concat({ ...disks[1]!, name: 'old' }),
    record,
  );
  expect(first).toEqual({ what: 'error', was: 'IMAGE_IN_USE', became: undefined });
  expect(
    rest.map(({ what, was, became }) => [what, was === undefined, became === undefined]),
  ).toEqual([
    ['disk size', false, false],
    ['corrupt', false, false],
    ['snapshot', true, false],
    ['snapshot', false, true],
    ['content', false, false],
  ]);
});

test('what is not there is gone, and what is no image has failed', async () => {
  expect(await recordOf('/nowhere/at/all.qcow2')).toMatchObject({
    isGone: true,
    failure: { code: 'OPEN_FAILED' },
  });
  expect(await recordOf(import.meta.filename)).toMatchObject({
    isGone: false,
    failure: { code: 'NOT_QCOW2' },
  });
});
