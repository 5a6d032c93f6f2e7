import { expect, test } from 'vitest';
import { byteStringOfText, cString } from '../../../src/cli/qemu-img/grammar/bytes.js';
import { clockText, sizeText, treeLines } from '../../../src/cli/qemu-img/info/human.js';
import { exactArguments } from '../../../src/cli/qemu-img/disks/io.js';
import { jsonText } from '../../../src/cli/qemu-img/json.js';
import { fullBackingName, protocolOf } from '../../../src/cli/qemu-img/disks/target.js';
import { qcow2Specific } from '../../../src/cli/qemu-img/info/qcow2-specific.js';
import { parseImageOptions } from '../../../src/cli/qemu-img/grammar/option-strings.js';
import { memoryDevice, openImage } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';

/** As qemu-img 7.2 was seen to print these sizes. */
test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '0.977 KiB'],
  [1023, '0.999 KiB'],
  [1024, '1 KiB'],
  [1025, '1 KiB'],
  [10_239, '10 KiB'],
  [102_399, '100 KiB'],
  [197_120, '192 KiB'],
  [198_144, '194 KiB'],
  [1_022_976, '999 KiB'],
  [1_023_999, '1e+03 KiB'],
  [1_024_000, '0.977 MiB'],
  [1_048_575, '1 MiB'],
  [4_412_345, '4.21 MiB'],
  [123_456_789_012, '115 GiB'],
  [2 ** 40, '1 TiB'],
  [4_503_599_627_382_841, '4 PiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});

test.each([
  [999_999n, '00:00:00.000'],
  [999_999_999n, '00:00:00.999'],
  [61_000_000_000n, '00:01:01.000'],
  [360_000_000_000_000n, '100:00:00.000'],
  [2n ** 64n - 1n, '5124095:34:33.709'],
])('a VM clock of %d ns is %s', (nanoseconds, text) => {
  expect(clockText(nanoseconds, 2)).toBe(text);
  expect(clockText(nanoseconds, 4)).toBe(text.padStart('0000:00:00.000'.length, '0'));
});

/** Bytes and what qemu-img 7.2 printed for them. */
test.each([
  ['\xc3', '\\uFFFD'],
  ['\xc3x', '\\uFFFDx'],
  ['\xc0\x80', '\\u0000'],
  ['\xc1\xbf', '\\uFFFD'],
  ['\xe0\x80\x80', '\\uFFFD'],
  ['\xed\xa0\x80', '\\uFFFD'],
  ['\xef\xbf\xbe', '\\uFFFD'],
  ['\xef\xb7\x90', '\\uFFFD'],
  ['\xf0\x9f\xbf\xbe', '\\uFFFD'],
  ['\xf4\x90\x80\x80', '\\uFFFD'],
  ['\xfc\x84\x80\x80\x80\x80', '\\uFFFD'],
  ['\xfe\xff', '\\uFFFD\\uFFFD'],
  ['\x80\x80', '\\uFFFD\\uFFFD'],
  ['\xe2x\x82', '\\uFFFDx\\uFFFD'],
  ['\xe2\xe2\x82\xac', '\\uFFFD\\u20AC'],
  ['\xf8\x88\x80x', '\\uFFFDx'],
  ['\xf4\x8f\xbf\xbd', '\\uDBFF\\uDFFD'],
  ['\xef\xbb\xbfx', '\\uFEFFx'],
  ['a\tb\rc\bd\fe\x0bf\x01/\'<&"\\\x7f', 'a\\tb\\rc\\bd\\fe\\u000Bf\\u0001/\'<&\\"\\\\\\u007F'],
])('%j in JSON', (bytes, text) => {
  expect(jsonText(bytes)).toBe(`"${text}"`);
});

test('nested JSON and the same for people', () => {
  const tree = { 'a-b': 1, list: [{ on: true }, 'x'], empty: [], big: 2n ** 63n };
  expect(jsonText(tree)).toBe(
    '{\n    "a-b": 1,\n    "list": [\n        {\n            "on": true\n        },\n' +
      '        "x"\n    ],\n    "empty": [\n    ],\n    "big": 9223372036854775808\n}',
  );
  expect(treeLines(tree, (text) => text.toUpperCase())).toEqual([
    '    a b: 1',
    '    list:',
    '        [0]:',
    '            on: true',
    '        [1]: X',
    '    empty:',
    '    big: 9223372036854775808',
  ]);
});

test('names end at a zero byte and are cut to their room', () => {
  expect(cString(Uint8Array.of(0x61, 0, 0x62))).toBe('a');
  expect(cString(new Uint8Array(300).fill(0x6e), 256)).toHaveLength(255);
});

test.each([
  ['disk.qcow2', 'base', 'base'],
  ['sub/disk.qcow2', 'base', 'sub/base'],
  ['./sub/disk.qcow2', '../base', './sub/../base'],
  ['/a/disk.qcow2', '/b/base', '/b/base'],
  ['sub/disk.qcow2', 'nbd://host/x', 'nbd://host/x'],
  ['sub/disk.qcow2', './with:colon', 'sub/./with:colon'],
  ['sub/disk.qcow2', 'json:{"driver":"raw"}', 'json:{"driver":"raw"}'],
])('the backing file of %s, %s, is %s', (image, name, full) => {
  expect(fullBackingName(image, name)).toBe(full);
});

test('a protocol stands before a colon, if no slash does', () => {
  expect(['nbd:x', 'a/b:c', './x:y', 'x'].map(protocolOf)).toEqual([
    'nbd',
    undefined,
    undefined,
    undefined,
  ]);
});

test('commas in --image-opts are doubled', () => {
  const options = parseImageOptions('driver=qcow2,file.filename=a,,b=c');
  expect(options).toEqual({ format: 'qcow2', path: 'a,b=c' });
});

test('arguments that are not UTF-8 come from the command line of the system', () => {
  const commandLine = Buffer.from('node\0--flag\0main.js\0-c\0\xff\xc3\xa9\0\0', 'latin1');
  expect(exactArguments(['-c', '\ufffd\u00e9', ''], () => commandLine)).toEqual([
    '-c',
    '\xff\xc3\xa9',
    '',
  ]);
  const unused = (): Uint8Array => {
    throw new Error('not to be read');
  };
  expect(exactArguments(['caf\u00e9'], unused)).toEqual([byteStringOfText('caf\u00e9')]);
});

// The pointer is missing from the value alone: docs/parity.md, luks-header-missing.
test('info of an image that should have a LUKS header and has none gives the format', async () => {
  const image = await openImage(memoryDevice(loadFixture('luks')));
  expect(await qcow2Specific({ ...image, extensions: [] }, false)).toMatchObject({
    encrypt: { format: 'luks' },
  });
});
