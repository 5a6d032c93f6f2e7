/** What the commands that read say of every fixture, against what QEMU said of it. */
import { describe, expect, test } from 'vitest';
import { leaveOut, oneIn } from '../../support/left-out.js';
import { expectedJson, fixtureNames } from '../../support/fixture.js';
import { imageOf, parsed, qsnap } from './harness.js';

interface QemuInfo {
  readonly snapshots?: readonly Record<string, unknown>[];
  readonly 'format-specific'?: { readonly data: Record<string, unknown> };
  readonly [key: string]: unknown;
}

interface Listed {
  readonly images: readonly [
    {
      readonly error?: { readonly code: string };
      readonly snapshots?: readonly Record<string, unknown>[];
    },
  ];
}

const SNAPSHOT_KEYS = ['id', 'vm-state-size', 'date-sec', 'date-nsec', 'vm-clock-sec'] as const;
const IMAGE_KEYS = [
  'virtual-size',
  'cluster-size',
  'dirty-flag',
  'encrypted',
  'backing-filename',
  'backing-filename-format',
] as const;
/** What QEMU prints of the LUKS header is more than qsnap reads. */
const DATA_KEYS = ['compat', 'compression-type', 'lazy-refcounts', 'refcount-bits', 'corrupt'];
const MORE_DATA_KEYS = ['extended-l2', 'bitmaps', 'data-file', 'data-file-raw'];

/** Images that no program of this format's known features can read. */
const UNREADABLE: Readonly<Record<string, string>> = {
  'feature-incompatible-named': 'UNSUPPORTED_FEATURE',
  'feature-incompatible-unknown': 'UNSUPPORTED_FEATURE',
  'qcow-version-1': 'QCOW_VERSION_1',
};

/** Images that can be read, and in which no snapshot can be made. */
const NO_CREATE: Readonly<Record<string, string>> = {
  ...UNREADABLE,
  corrupt: 'IMAGE_MARKED_CORRUPT',
  'data-file': 'EXTERNAL_DATA_FILE',
  'data-file-raw': 'EXTERNAL_DATA_FILE',
  dirty: 'IMAGE_DIRTY',
  'l2-past-end': 'IMAGE_DAMAGED',
  'l2-unaligned': 'IMAGE_DAMAGED',
  'lazy-refcounts-dirty': 'IMAGE_DIRTY',
  'refcount-1': 'REFCOUNT_OVERFLOW',
  'refcount-2': 'REFCOUNT_OVERFLOW',
  'refcount-4': 'REFCOUNT_OVERFLOW',
  'refcount-too-low': 'IMAGE_DAMAGED',
  'refcount-zero': 'IMAGE_DAMAGED',
};

function pick(from: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.map((key) => [key, from[key]]));
}

/** No byte that a terminal would take as a command, whatever the image holds. */
function expectPrintable(text: string): void {
  expect(text).not.toMatch(/[^\P{Cc}\n]|\p{Cf}|[\p{Zl}\p{Zp}]/u);
}

describe.each(oneIn(4, fixtureNames()))('%s', (name) => {
  const qemu = expectedJson(name, 'info.json') as QemuInfo | null;

  test('list says what QEMU says', async () => {
    const image = imageOf(name);
    const { stdout, stderr, code } = await qsnap(['list', '--json', image]);
    const { images } = parsed('list', stdout) as Listed;
    expectPrintable(stdout);
    expectPrintable(stderr);
    expect(images[0].error?.code).toBe(UNREADABLE[name]);
    expect(code).toBe(images[0].error === undefined ? 0 : 1);
    if (images[0].snapshots === undefined || qemu === null) {
      leaveOut(`what QEMU lists: ${name} can't be read by qsnap or by QEMU`);
      return;
    }
    const theirs = qemu.snapshots ?? [];
    const keys = [...SNAPSHOT_KEYS, 'vm-clock-nsec', 'icount'];
    expect(images[0].snapshots.map((snapshot) => pick(snapshot, keys))).toEqual(
      theirs.map((snapshot) => pick(snapshot, keys)),
    );
    const human = await qsnap(['list', image]);
    expect(human.code).toBe(code);
    expectPrintable(human.stdout);
    expect(human.stdout.split('\n').length).toBeGreaterThan(theirs.length);
  });

  test('info says what QEMU says', async () => {
    const image = imageOf(name);
    const { stdout, stderr, code } = await qsnap(['info', '--json', image]);
    const { images } = parsed('info', stdout) as { images: [Record<string, unknown>] };
    expectPrintable(stdout);
    expectPrintable(stderr);
    expect(code).toBe(name in UNREADABLE ? 1 : 0);
    if (images[0]['error'] !== undefined) {
      leaveOut(`what QEMU says in info: ${name} can't be read`);
      return;
    }
    if (qemu !== null) {
      expect(pick(images[0], IMAGE_KEYS)).toEqual(pick(qemu, IMAGE_KEYS));
      const ours = images[0]['format-specific'] as { data: Record<string, unknown> };
      const keys = [...DATA_KEYS, ...MORE_DATA_KEYS];
      expect(pick(ours.data, keys)).toEqual(pick(qemu['format-specific']!.data, keys));
    }
    const human = await qsnap(['info', image]);
    expect(human.code).toBe(0);
    expectPrintable(human.stdout);
  });

  test('show prints each snapshot by its id', async () => {
    const image = imageOf(name);
    const { stdout } = await qsnap(['list', '--json', image]);
    const { images } = parsed('list', stdout) as Listed;
    for (const snapshot of (images[0].snapshots ?? []).slice(0, 5)) {
      const selector = `id:${String(snapshot['id'])}`;
      const json = await qsnap(['show', '--json', image, selector]);
      expect(parsed('show', json.stdout)).toMatchObject({ snapshot });
      const human = await qsnap(['show', image, selector]);
      expect(human.code).toBe(0);
      expectPrintable(human.stdout);
    }
    expect.hasAssertions();
  });

  test('a dry run of every edit fits the schema', async () => {
    const image = imageOf(name);
    const edits = [
      ['create', image, 'new'],
      ['apply', '--discard-changes', image, 'id:1'],
      ['delete', image, 'id:1'],
      ['rename', image, 'id:1', 'new'],
    ];
    for (const argv of edits) {
      const { stdout, code } = await qsnap([...argv, '--dry-run', '--json']);
      const { error } = parsed('edit', stdout) as { error?: { readonly code: string } };
      expect(error !== undefined).toBe(code === 1);
      if (argv[0] === 'create') expect(error?.code).toBe(NO_CREATE[name]);
      const human = await qsnap([...argv, '--dry-run']);
      expect(human.code).toBe(code);
      expectPrintable(human.stdout + human.stderr);
    }
  });
});
