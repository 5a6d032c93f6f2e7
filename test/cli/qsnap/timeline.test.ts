/** `qsnap timeline`: all dates in order, each format read by a parser of it. */
import { spawnSync } from 'node:child_process';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { csvRows } from '../../support/csv-reader.js';
import { copyFixture, fixtureNames } from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';
import { layoutOf } from '../../support/image-builder.js';
import { describeUnless } from '../../support/left-out.js';
import { fileObjectsOf } from './dfxml-reader.js';
import { imageOf, parsed, qsnap, shown } from './harness.js';

interface Document {
  readonly images: readonly { readonly filename: string; readonly error?: { code: string } }[];
  readonly moments: readonly {
    readonly filename: string;
    readonly kind: string;
    readonly date: string;
    readonly id?: string;
  }[];
  readonly anomalies: readonly { readonly code: string; readonly id: string }[];
}

async function documentOf(...argv: readonly string[]): Promise<Document> {
  const { stdout } = await qsnap(['timeline', '--json', ...argv]);
  return parsed('timeline', stdout) as Document;
}

test('as text: UTC, the fields as stored, and what is odd', async () => {
  const image = imageOf('dates-extreme');
  const { code, stdout } = await qsnap(['timeline', '--no-file-dates', image]);
  expect(code).toBe(0);
  // How wide the column of names is depends on where the image lies.
  expect(shown(stdout, image).replaceAll(/ {2,}/g, '  ')).toMatchInlineSnapshot(`
    "DATE (UTC)  IMAGE  WHAT  DATE-SEC  DATE-NSEC  VM-CLOCK-NSEC  ENTRY
    1970-01-01T00:00:00.000000000Z  dates-extreme.qcow2  snapshot 2 "second"  0  0  0  0x19048
    2106-02-07T06:28:15.999999999Z  dates-extreme.qcow2  snapshot 1 "first"  4294967295  999999999  9223372036854775807  0x19000
    warning DATE_ZERO dates-extreme.qcow2: snapshot 2 "second": the date is 0, which is no date of a snapshot
    warning DATE_BEFORE_LOWER_ID dates-extreme.qcow2: snapshot 2 "second": dated 1193046:28:15.999 before 1 "first", which has a lower id
    warning DATE_BEFORE_PARENT dates-extreme.qcow2: snapshot 2 "second": dated 1193046:28:15.999 before 1 "first", which it grew from
    "
  `);
});

test('several images are in one order, with the dates of their files', async () => {
  const folder = temporaryDirectory();
  const images = ['five-snapshots', 'applied-and-deleted'].map((name) => copyFixture(name, folder));
  utimesSync(images[0]!, 1700100000, 1700100000.25);
  const { moments, anomalies } = await documentOf(...images);
  const dates = moments.map(({ date }) => date);
  expect(dates).toEqual(dates.toSorted());
  expect(moments.filter(({ kind }) => kind === 'snapshot')).toHaveLength(7);
  const modified = moments.find(({ kind, filename }) => {
    return kind === 'file-modified' && filename === images[0];
  });
  expect(modified!.date).toBe('2023-11-16T02:00:00.250000000Z');
  // These were taken after the file was last written, as a changed date of the file makes it look.
  expect(anomalies.map(({ code, id }) => [code, id])).toEqual([
    ...['3', '4', '5'].map((id) => ['DATE_AFTER_FILE', id]),
  ]);
});

test('every fixture has a timeline that its schema allows', async () => {
  const folder = temporaryDirectory();
  const images = fixtureNames().map((name) => copyFixture(name, folder));
  const { images: told, moments } = await documentOf(...images);
  expect(told.map(({ filename }) => filename)).toEqual(images);
  expect(told.filter(({ error }) => error !== undefined).length).toBeLessThan(10);
  expect(moments.length).toBeGreaterThan(300);
});

test('a table that is cut off is told as far as it goes, with exit code 1', async () => {
  const image = imageOf('five-snapshots');
  const bytes = readFileSync(image);
  const { snapshotTableAt } = layoutOf(bytes);
  writeFileSync(image, bytes.subarray(0, snapshotTableAt + 200));
  const { code, stdout, stderr } = await qsnap(['timeline', '--no-file-dates', image]);
  expect(code).toBe(1);
  expect(stdout.match(/2023-11-1\d/g)).toHaveLength(2);
  expect(stderr).toContain("snapshots can't be read");
  expect(stderr).toContain('dates were not compared along the ancestry');
});

test('an image that is none does not stop the others', async () => {
  const folder = temporaryDirectory();
  const none = path.join(folder, 'none');
  writeFileSync(none, 'no image');
  const { code, stdout } = await qsnap(['timeline', '--json', none, imageOf('five-snapshots')]);
  const { images, moments } = parsed('timeline', stdout) as Document;
  expect([code, images[0]!.error!.code]).toEqual([1, 'NOT_QCOW2']);
  expect(moments.filter(({ kind }) => kind === 'snapshot')).toHaveLength(5);
});

describe('formats', () => {
  test('--json goes with no other format', async () => {
    const { code, stderr } = await qsnap(['timeline', '--json', '--format', 'csv', 'x']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('--format csv')]);
  });

  test('CSV has a row for each moment; no name is a formula', async () => {
    const image = imageOf('names-odd');
    const { stdout } = await qsnap(['timeline', '--format', 'csv', image]);
    const rows = csvRows(stdout);
    expect(rows.filter(({ kind }) => kind === 'snapshot')).toHaveLength(9);
    expect(rows.filter(({ kind }) => kind !== 'snapshot').length).toBeGreaterThanOrEqual(2);
    const names = rows.map(({ name }) => name);
    expect(names).toContain("'-l");
    expect(names).toContain('two\\nlines');
    expect(names).toContain('a,b=c"d\\\\e');
  });

  test('DFXML keeps to the schema, whatever names hold', async () => {
    for (const fixture of ['names-odd', 'dates-extreme', 'ids-not-numeric']) {
      const image = imageOf(fixture);
      const { stdout } = await qsnap(['timeline', '--format', 'dfxml', image]);
      const objects = fileObjectsOf(stdout);
      const { moments } = await documentOf('--no-file-dates', image);
      expect(objects.size).toBe(moments.length + 1);
      expect(objects.get(image)!.get('mtime')).toMatch(/^2\d{3}-/);
    }
  });
});

const hasMactime = spawnSync('mactime', ['-V'], { stdio: 'ignore' }).error === undefined;
describeUnless(
  hasMactime ? undefined : 'mactime is not installed (Debian: apt install sleuthkit)',
  'QSNAP_REQUIRE_SLEUTHKIT',
  'The Sleuth Kit reads the body file',
  () => {
    test.each(['five-snapshots', 'names-odd'])('%s', async (fixture) => {
      const image = imageOf(fixture);
      utimesSync(image, 1700600000, 1700600000);
      const body = await qsnap(['timeline', '--format', 'bodyfile', image]);
      const { stdout } = spawnSync('mactime', ['-b', '-', '-d', '-y'], {
        input: body.stdout,
        encoding: 'utf8',
        env: { ...process.env, TZ: 'UTC' },
      });
      const rows = csvRows(stdout);
      const { moments } = await documentOf(image);
      const born = rows.filter(({ Type, Mode }) => Type === '...b' && Mode!.startsWith('v/v'));
      expect(born.map(({ Date: date }) => date)).toEqual(
        moments
          .filter(({ kind }) => kind === 'snapshot')
          .map(({ date }) => date.replace(/\.\d+Z$/, 'Z')),
      );
      const written = rows.find(({ Type }) => Type === 'm...');
      expect(written).toMatchObject({ Date: '2023-11-21T20:53:20Z', 'File Name': image });
      // No line but these: what has no time is not printed as 1970.
      expect(rows.some(({ Date: date }) => date!.startsWith('0000'))).toBe(false);
    });
  },
);
