import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { printable, printableText } from '../../src/base/text.js';
import { planCreate } from '../../src/edit/snapshot/create.js';
import { describeSnapshot } from '../../src/qcow2/describe-snapshot.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { shortcomings } from '../support/crash-judge-edits.js';
import { contentsOf } from '../support/crash-judge.js';
import { loadFixture } from '../support/fixture.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 13);
const options = { seed: SEED, numRuns: 2_000 };

/** What a terminal obeys or what changes how a line reads. */
const RAW = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/** Characters that names are made evil with. */
const EVIL = [
  ...['\0', '\x07', '\b', '\n', '\r', '\t', '\x1b[2J', '\x1b]0;title\x07', '\x7f', '\x80', '\x9b'],
  ...['\u00ad', '\u200b', '\u200e', '\u200f', '\u202a', '\u202e', '\u2028', '\u2029', '\u2066'],
  ...['\ufeff', '\u{e0001}', '\u{e0041}', '\u061c', '\\', '\\n', 'e\u0301', '名前', '🙂', ' '],
];

const evilText = fc
  .array(fc.oneof(fc.constantFrom(...EVIL), fc.string({ unit: 'binary', maxLength: 8 })))
  .map((parts) => parts.join(''));
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  evilText.map((text) => new TextEncoder().encode(text)),
);

/** Undoes what `printable` did. */
function bytesOf(shown: string): Uint8Array {
  const escape = /\\(?:\\|n|r|t|x([0-9a-f]{2})|u\{([0-9a-f]+)\})|[^\\]/gu;
  const parts = [...shown.matchAll(escape)].map(([all, byte, code]) => {
    if (byte !== undefined) return Buffer.from([Number.parseInt(byte, 16)]);
    if (code !== undefined) return Buffer.from(String.fromCodePoint(Number.parseInt(code, 16)));
    const short = { '\\\\': '\\', '\\n': '\n', '\\r': '\r', '\\t': '\t' }[all];
    return Buffer.from(short ?? all);
  });
  return new Uint8Array(Buffer.concat(parts));
}

describe('what people see of names', () => {
  test('holds no raw control or format character, whatever the bytes', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(printable(bytes)).not.toMatch(RAW);
      }),
      options,
    );
  });

  test('says which bytes they were', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(bytesOf(printable(bytes))).toEqual(bytes);
      }),
      options,
    );
  });

  test('leaves printable text as it is', () => {
    for (const text of ['before upgrade', 'vor dem Ümbau', '名前 🙂', "it's (1) $HOME; `x`"]) {
      expect(printableText(text)).toBe(text);
    }
  });

  test('is safe for every snapshot of the fixture with odd names', async () => {
    for (const name of ['names-odd', 'names-long', 'ids-not-numeric']) {
      const { snapshots } = await openImage(memoryDevice(loadFixture(name)));
      for (const snapshot of snapshots) expect(describeSnapshot(snapshot)).not.toMatch(RAW);
    }
  });
});

test('a name of any bytes comes back as it went in, and harms nothing', async () => {
  const before = loadFixture('ids-with-gaps');
  const old = contentsOf(before);
  await fc.assert(
    fc.asyncProperty(anyBytes, async (name) => {
      fc.pre(name.length <= 255 && !name.includes(0));
      const device = memoryDevice(before);
      const image = await openImage(device);
      const rules = { anyName: true, allowDuplicateName: true };
      const plan = await planCreate(image, {
        name,
        date: { seconds: 1, nanoseconds: 2 },
        ...rules,
      });
      expect(plan.summary).not.toMatch(RAW);
      await executePlan(plan);
      expect((await openImage(device)).snapshots.at(-1)!.nameBytes).toEqual(name);
      const bytes = device.snapshotBytes();
      const added = contentsOf(bytes).snapshots.at(-1)!;
      const contents = [{ active: old.active, snapshots: [...old.snapshots, added] }];
      expect(shortcomings(bytes, { contents, leaks: new Map() })).toEqual([]);
    }),
    { seed: SEED, numRuns: 100 },
  );
});
