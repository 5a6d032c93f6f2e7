import { describe, expect, test } from 'vitest';
import {
  decodeGroupRecord,
  encodeGroupRecord,
  recordedHeader,
  RECORD_LIMITS,
  type GroupRecord,
} from '../../../src/api/group/record.js';
import { isQsnapError } from '../../../src/errors.js';
import { newSha256 } from '../../../src/node/index.js';

const date = { seconds: 1_700_000_000, nanoseconds: 5 };
const header = '0f'.repeat(72);
const image = {
  file: 'vm.qcow2',
  headerBefore: header,
  headerAfter: header.replace('0f', '10'),
  chosen: [{ id: '1', name: 'golden', date }],
};

const RECORDS: readonly GroupRecord[] = [
  { request: { operation: 'create', name: 'new', date }, images: [{ ...image, chosen: [] }] },
  { request: { operation: 'apply', snapshot: 'golden', discardChanges: true }, images: [image] },
  {
    request: {
      operation: 'apply',
      snapshot: 'id:1',
      discardChanges: false,
      saveAs: { name: 'ü\n', date },
    },
    images: [image, { ...image, file: '/elsewhere/nvram.qcow2' }],
  },
  {
    request: { operation: 'delete', snapshots: ['golden', 'name:b', 'id:2', '#1'] },
    images: [{ ...image, chosen: [...image.chosen, { id: '2', name: 'b', date }] }],
  },
];

function codeOf(bytes: Uint8Array): string {
  try {
    decodeGroupRecord(bytes, newSha256);
    return 'taken';
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    expect(error.details.hint).toContain('remove the record');
    return error.code;
  }
}

test.each(RECORDS.map((record) => ({ record })))(
  'reads what it wrote: $record.request',
  ({ record }) => {
    expect(decodeGroupRecord(encodeGroupRecord(record, newSha256), newSha256)).toEqual(record);
  },
);

test('a record that was cut off, or has one other byte, is refused', () => {
  const bytes = encodeGroupRecord(RECORDS[2]!, newSha256);
  for (let length = 0; length < bytes.length - 1; length += 1) {
    expect(codeOf(bytes.subarray(0, length)), `${length} bytes`).toBe('GROUP_RECORD_INVALID');
  }
  for (let at = 0; at < bytes.length; at += 1) {
    const other = bytes.slice();
    other[at]! ^= 1;
    const code = codeOf(other);
    // A key that nobody reads is not there; white space says nothing.
    if (code === 'taken') expect(other[at]! <= 0x20 || bytes[at]! <= 0x20, `byte ${at}`).toBe(true);
  }
});

const deep = (levels: number): unknown => (levels === 0 ? [] : [deep(levels - 1)]);

test('a record that is deeper than any stack is refused', () => {
  const nested = '['.repeat(200_000) + ']'.repeat(200_000);
  const text = `{"format":"qsnap group edit","version":1,"sha256":"","edit":${nested}}`;
  expect(codeOf(new TextEncoder().encode(text))).toBe('GROUP_RECORD_INVALID');
});

describe('a record with a right checksum that says what no edit says', () => {
  const edited = (change: (edit: Record<string, unknown>) => void): Uint8Array => {
    const edit = structuredClone(RECORDS[1]!) as unknown as Record<string, unknown>;
    change(edit);
    const text = JSON.stringify(edit);
    const hasher = newSha256();
    hasher.update(new TextEncoder().encode(text));
    const head = { format: 'qsnap group edit', version: 1, sha256: hasher.digest() };
    return new TextEncoder().encode(JSON.stringify({ ...head, edit }));
  };
  const images = (change: object) => (edit: Record<string, unknown>) => {
    edit['images'] = [{ ...image, ...change }];
  };

  test.each<[string, (edit: Record<string, unknown>) => void]>([
    ['no request', (edit) => delete edit['request']],
    ['another operation', (edit) => (edit['request'] = { operation: 'rename' })],
    ['no snapshot', (edit) => (edit['request'] = { operation: 'apply' })],
    ['no name', (edit) => (edit['request'] = { operation: 'create', date })],
    ['no date', (edit) => (edit['request'] = { operation: 'create', name: 'x' })],
    [
      'a date before 1970',
      (edit) =>
        (edit['request'] = {
          operation: 'create',
          name: 'x',
          date: { seconds: -1, nanoseconds: 0 },
        }),
    ],
    ['names that are none', (edit) => (edit['request'] = { operation: 'delete', snapshots: [3] })],
    ['no images', (edit) => (edit['images'] = {})],
    [
      'too many',
      (edit) => (edit['images'] = Array.from({ length: RECORD_LIMITS.imagesMax + 1 }, () => image)),
    ],
    ['a header that is too short', images({ headerAfter: '00' })],
    ['a header that is no hex', images({ headerBefore: 'x'.repeat(144) })],
    ['nothing to apply', images({ chosen: [] })],
    ['a file that is none', images({ file: 7 })],
    ['another snapshot', images({ chosen: [{ id: '1', name: 'other', date }] })],
    ['two snapshots to apply', images({ chosen: [...image.chosen, ...image.chosen] })],
    [
      'another id',
      (edit) => (edit['request'] = { operation: 'apply', snapshot: 'id:7', discardChanges: true }),
    ],
    ['nothing to delete', (edit) => (edit['request'] = { operation: 'delete', snapshots: [] })],
    [
      'a word that means nothing',
      (edit) => (edit['request'] = { operation: 'delete', snapshots: ['golden', 'b'] }),
    ],
    [
      'a snapshot that a create is about',
      (edit) => (edit['request'] = { operation: 'create', name: 'golden', date }),
    ],
    [
      'other names on other images',
      (edit) => {
        edit['request'] = { operation: 'apply', snapshot: '#0', discardChanges: true };
        edit['images'] = [image, { ...image, chosen: [{ id: '1', name: 'b', date }] }];
      },
    ],
    // A key that nobody reads has a part in the checksum.
    ['what nobody reads', (edit) => (edit['more'] = deep(20))],
  ])('%s', (_, change) => {
    expect(codeOf(edited(change))).toBe('GROUP_RECORD_INVALID');
  });

  test('another format or version', () => {
    const text = new TextDecoder().decode(encodeGroupRecord(RECORDS[0]!, newSha256));
    for (const [from, to] of [
      ['group edit', 'undo file'],
      ['"version":1', '"version":2'],
    ] as const) {
      expect(codeOf(new TextEncoder().encode(text.replace(from, to)))).toBe('GROUP_RECORD_INVALID');
    }
  });
});

test('one that would be too long is not written', () => {
  const snapshots = Array.from({ length: 60_000 }, () => 'x'.repeat(300));
  const record: GroupRecord = { request: { operation: 'delete', snapshots }, images: [] };
  expect(() => encodeGroupRecord(record, newSha256)).toThrow(
    expect.objectContaining({ code: 'LIMIT_EXCEEDED' }) as Error,
  );
});

test('a header is recorded from byte 24 to byte 95', () => {
  const sector = Uint8Array.from({ length: 512 }, (_, i) => i % 256);
  const hex = recordedHeader(sector);
  expect([hex.slice(0, 4), hex.slice(-4), hex.length]).toEqual(['1819', '5e5f', 144]);
});
