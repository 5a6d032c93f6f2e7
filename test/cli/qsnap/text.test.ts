/** Sizes, times, columns, colour and progress: what the commands print with. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { displayWidth, fieldLines, tableLines } from '../../../src/cli/columns.js';
import { startProgress } from '../../../src/cli/progress.js';
import { parseDate } from '../../../src/cli/qsnap/date-option.js';
import { exactJson } from '../../../src/cli/qsnap/present/snapshot-json.js';
import {
  exactSizeText,
  jsonText,
  localTimeText,
  oneSafeLine,
  sizeText,
  utcTimeText,
  vmClockText,
} from '../../../src/cli/text.js';
import { imageOf, qsnap } from './harness.js';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '0.977 KiB'],
  [1024, '1 KiB'],
  [65536, '64 KiB'],
  [1_267_000, '1.21 MiB'],
  [1023 * 1024, '0.999 MiB'],
  [2 ** 40 * 3, '3 TiB'],
  [2 ** 53 - 1, '8 PiB'],
])('sizeText(%d) is %s', (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});

test('exactSizeText gives the bytes where the unit hides them', () => {
  expect(exactSizeText(1)).toBe('1 byte');
  expect(exactSizeText(512)).toBe('512 bytes');
  expect(exactSizeText(67_108_865)).toBe('64 MiB (67108865 bytes)');
});

test('times are local in tables and UTC with nanoseconds elsewhere', () => {
  const zone = process.env['TZ'];
  process.env['TZ'] = 'Asia/Kolkata';
  expect(localTimeText(0)).toBe('1970-01-01 05:30:00');
  process.env['TZ'] = zone;
  expect(utcTimeText({ seconds: 2 ** 32 - 1, nanoseconds: 7 })).toBe(
    '2106-02-07T06:28:15.000000007Z',
  );
  expect(utcTimeText({ seconds: 0, nanoseconds: 2 ** 32 - 1 })).toBe(
    '1970-01-01T00:00:04.294967295Z',
  );
});

test('the VM clock has room for all 64 bits', () => {
  expect(vmClockText(3_723_004_999_999n)).toBe('01:02:03.004');
  expect(vmClockText(2n ** 64n - 1n)).toBe('5124095:34:33.709');
});

test('oneSafeLine escapes what a terminal obeys', () => {
  expect(oneSafeLine('a\x1b[0m\nb\x9b\u202e\u2028é\\')).toBe(
    'a\\x1b[0m\\nb\\u{9b}\\u{202e}\\u{2028}é\\',
  );
});

test('numbers past 2^53 - 1 are digits in a string, never rounded', () => {
  expect(exactJson(2n ** 53n - 1n)).toBe(9007199254740991);
  expect(exactJson(2n ** 53n)).toBe('9007199254740992');
  expect(exactJson(2n ** 64n - 2n)).toBe('18446744073709551614');
});

test('jsonText parses to what it was made from', () => {
  const document = { name: 'a\u009b\u{e0001}"\\\n\u2028', list: [1] };
  const text = jsonText(document);
  expect(JSON.parse(text)).toEqual(document);
  expect(text).toContain('"a\\u009b\\udb40\\udc01\\"\\\\\\n\\u2028"');
});

describe('columns', () => {
  test.each([
    ['plain', 5],
    ['更', 2],
    ['📸', 2],
    ['e\u0301', 1],
    ['\u{20bb7}', 2],
    ['한글', 4],
    ['ｆｕｌｌ', 8],
    ['дом', 3],
  ])('%s fills %d cells', (text, cells) => {
    expect(displayWidth(text)).toBe(cells);
  });

  test('are aligned, and a long cell pushes only its own row', () => {
    const lines = tableLines(
      [
        { title: 'NAME', align: 'left', widthMax: 6 },
        { title: 'N', align: 'right' },
      ],
      [
        ['更新', '1'],
        ['longer than six', '20'],
      ],
    );
    expect(lines).toEqual(['NAME     N', '更新     1', 'longer than six  20']);
    expect(fieldLines([['a', '1'], ['long', '2']])).toEqual(['  a     1', '  long  2']); // prettier-ignore
  });
});

describe('--date', () => {
  test.each([
    ['@0', 0, 0],
    ['@4294967295.999999999', 4294967295, 999_999_999],
    ['1970-01-01T00:00:00Z', 0, 0],
    ['2026-11-22T14:03:12Z', 1795356192, 0],
    ['2026-11-22 14:03:12', 1795356192, 0],
    ['2026-11-22T14:03:12.25+02:00', 1795348992, 250_000_000],
    ['2026-11-22T14:03-0330', 1795368780, 0],
    ['2026-11-22', 1795305600, 0],
  ])('%s', (text, seconds, nanoseconds) => {
    expect(parseDate(text)).toEqual({ seconds, nanoseconds });
  });

  test.each([
    'now',
    '',
    '@',
    '@-1',
    '@4294967296',
    '1969-12-31T23:59:59Z',
    '2106-02-07T06:28:16Z',
    '2026-02-30',
    '2026-02-30T00:00:00Z',
    '2026-13-01',
    '2026-11-22T24:00:00Z',
    '2026-11-22T14:60:00',
    '22.11.2026',
  ])('%s is no date', (text) => {
    expect(parseDate(text)).toBeUndefined();
  });
});

describe('colour', () => {
  const red = '\x1b[31mqsnap:\x1b[0m';
  const green = '\x1b[32m*\x1b[0m';

  test('marks the active state and errors on a terminal', async () => {
    const image = imageOf('names-duplicate');
    const list = await qsnap(['list', image], { terminal: true });
    expect(list.stdout).toContain(`\n${green}  3   base`);
    const failed = await qsnap(['list', 'gone'], { terminal: true });
    expect(failed.stderr.startsWith(red)).toBe(true);
  });

  test.each([
    ['no terminal', [], {}],
    ['--no-color', ['--no-color'], { terminal: true }],
    ['NO_COLOR', [], { terminal: true, env: { NO_COLOR: '1' } }],
  ])('there is none with %s', async (_, argv, options) => {
    const { stdout } = await qsnap([...argv, 'list', imageOf('names-duplicate')], options);
    const { stderr } = await qsnap([...argv, 'list', 'gone'], options);
    const usage = await qsnap([...argv, 'lst'], options);
    expect(stdout + stderr + usage.stderr).not.toContain('\x1b');
  });

  test('an empty NO_COLOR is none', async () => {
    const options = { terminal: true, env: { NO_COLOR: '' } };
    expect((await qsnap(['list', 'gone'], options)).stderr.startsWith(red)).toBe(true);
  });
});

describe('progress', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function watch(isTerminal: boolean, wanted = true) {
    const printed: string[] = [];
    const output = { isTerminal, write: (text: string | Uint8Array) => printed.push(String(text)) };
    return { progress: startProgress(output, wanted), printed };
  }

  test('work of less than a second is silent', () => {
    const { progress, printed } = watch(true);
    progress.phase('reading');
    vi.advanceTimersByTime(900);
    progress.stop();
    vi.advanceTimersByTime(5000);
    expect(printed).toEqual([]);
  });

  test('longer work has one line, which goes away in the end', () => {
    const { progress, printed } = watch(true);
    progress.phase('reading a\nb');
    vi.advanceTimersByTime(1000);
    progress.phase('writing');
    progress.update(512, 2048);
    vi.advanceTimersByTime(100);
    progress.stop();
    progress.stop();
    expect(printed).toEqual(['\r\x1b[2Kreading a\\nb …', '\r\x1b[2Kwriting … 25 %', '\r\x1b[2K']);
  });

  test.each([
    ['no terminal', false, true],
    ['--quiet', true, false],
  ])('there is none with %s', (_, isTerminal, wanted) => {
    const { progress, printed } = watch(isTerminal, wanted);
    progress.phase('reading');
    progress.update(1, 0);
    vi.advanceTimersByTime(5000);
    progress.stop();
    expect(printed).toEqual([]);
  });
});
