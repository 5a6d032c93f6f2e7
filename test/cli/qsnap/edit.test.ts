/** The commands that edit: what they do to an image and what they say. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { expectSound, imageOf, NOW, parsed, qsnap, shown } from './harness.js';

interface ListedSnapshot {
  readonly id: string;
  readonly name: string;
  readonly 'date-sec': number;
  readonly 'date-nsec': number;
  readonly 'is-active-state': boolean;
}

async function listed(image: string): Promise<readonly ListedSnapshot[]> {
  const { stdout } = await qsnap(['list', '--json', image]);
  const { images } = parsed('list', stdout) as {
    images: [{ snapshots: readonly ListedSnapshot[] }];
  };
  return images[0].snapshots;
}

async function names(image: string): Promise<readonly string[]> {
  return (await listed(image)).map(({ id, name }) => `${id} ${name}`);
}

const FIVE = [
  '1 clean install',
  '2 updates applied',
  '3 before database migration',
  '4 after database migration',
  '5 release candidate',
];

describe('create', () => {
  test('takes a snapshot dated now, which then equals the active disk', async () => {
    const image = imageOf('five-snapshots');
    const { code, stdout, stderr } = await qsnap(['create', image, 'today']);
    expect(shown(stdout, image)).toBe('Created snapshot 6 "today" in five-snapshots.qcow2.\n');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const last = (await listed(image)).at(-1);
    expect(last).toMatchObject({
      id: '6',
      name: 'today',
      'date-sec': Math.floor(NOW.getTime() / 1000),
      'date-nsec': 345_000_000,
      'is-active-state': true,
    });
    await expectSound(image);
  });

  test('says what a check calls corruption, and the new state has right', async () => {
    const image = imageOf('five-snapshots');
    const bytes = readFileSync(image);
    const l1At = Number(bytes.readBigUInt64BE(40));
    bytes.writeUInt8(bytes.readUInt8(l1At) ^ 0x80, l1At);
    writeFileSync(image, bytes);
    expect((await qsnap(['check', image])).code).toBe(2);
    const dry = await qsnap(['create', '--dry-run', image, 'today']);
    expect(dry.stdout).toContain(
      '\nCOPIED flags of the active disk are wrong; they would be right then.\n',
    );
    const json = await qsnap(['create', '--dry-run', '--json', image, 'today']);
    expect(parsed('edit', json.stdout)).toMatchObject({ mends: ['copied-flags'] });
    const { code, stdout } = await qsnap(['create', image, 'today']);
    expect(shown(stdout, image)).toBe(
      'Created snapshot 6 "today" in five-snapshots.qcow2.\n' +
        'COPIED flags of the active disk were wrong; they are right now.\n',
    );
    expect(code).toBe(0);
    await expectSound(image);
  });

  test('records the date and the id that it is given', async () => {
    const image = imageOf('no-snapshots');
    const argv = ['create', '--date', '2020-02-29T12:00:00.5+01:00', '--id', 'leap', image, 'day'];
    expect((await qsnap(argv)).code).toBe(0);
    expect(await listed(image)).toMatchObject([
      { id: 'leap', name: 'day', 'date-sec': 1582974000, 'date-nsec': 500_000_000 },
    ]);
    await expectSound(image);
  });

  test('takes a name that begins with a dash after --', async () => {
    const image = imageOf('no-snapshots');
    expect((await qsnap(['create', image, '--', '--json'])).code).toBe(0);
    expect(await names(image)).toEqual(['1 --json']);
    await expectSound(image);
  });

  test('the same date and image give the same bytes', async () => {
    const images = [imageOf('five-snapshots'), imageOf('five-snapshots')];
    for (const image of images) await qsnap(['create', '--date', '@0', image, 'golden']);
    const [one, two] = images.map((image) => readFileSync(image));
    expect(one!.equals(two!)).toBe(true);
    await expectSound(images[0]!);
  });

  test.each([
    ['today', 'snapshot 5 is called "release candidate" already', ['release candidate']],
    ['nothing', 'the new name is empty', ['']],
    ['control characters', 'the new name holds a control character', ['a\x1b[31m']],
    ['more than 255 bytes', 'the new name is 256 bytes long', ['é'.repeat(128)]],
    ['a taken id', 'a snapshot has the id "3" already', ['new', '--id', '3']],
  ])('refuses %s', async (_, message, rest) => {
    const image = imageOf('five-snapshots');
    const before = readFileSync(image);
    const { code, stdout, stderr } = await qsnap(['create', image, ...rest]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
    expect(readFileSync(image).equals(before)).toBe(true);
    await expectSound(image);
  });
});

describe('apply', () => {
  test('stops where something would be lost, and says how much', async () => {
    const image = imageOf('five-snapshots');
    const { code, stderr } = await qsnap(['apply', image, 'id:2']);
    expect(code).toBe(1);
    expect(shown(stderr, image)).toMatchInlineSnapshot(`
      "qsnap: five-snapshots.qcow2: the active disk differs from every snapshot; from the nearest, 5 "release candidate", in 3 guest clusters (196608 bytes)
      hint: save them (--save-as NAME) or give them up (--discard-changes)
      The image is unchanged.
      "
    `);
    await expectSound(image);
  });

  test('--discard-changes loses the active disk', async () => {
    const image = imageOf('five-snapshots');
    const { code, stdout } = await qsnap(['apply', '--discard-changes', image, 'id:2']);
    expect(code).toBe(0);
    expect(shown(stdout, image)).toMatch(
      /^Applied snapshot 2 "updates applied" to five-snapshots.qcow2; freed .*3 data clusters/,
    );
    const active = (await listed(image)).filter((snapshot) => snapshot['is-active-state']);
    expect(active.map(({ id }) => id)).toEqual(['2']);
    await expectSound(image);
  });

  test('--save-as keeps the active disk; revert is the same command', async () => {
    const image = imageOf('five-snapshots');
    const first = await qsnap(['revert', '--save-as', 'as it was', image, 'updates applied']);
    expect(first.code).toBe(0);
    expect(shown(first.stdout, image)).toBe(
      'Created snapshot 6 "as it was" in five-snapshots.qcow2.\n' +
        'Applied snapshot 2 "updates applied" to five-snapshots.qcow2.\n',
    );
    // Nothing is lost by going back now.
    expect((await qsnap(['apply', image, 'as it was'])).code).toBe(0);
    const active = (await listed(image)).filter((snapshot) => snapshot['is-active-state']);
    expect(active.map(({ name }) => name)).toEqual(['as it was']);
    await expectSound(image);
  });

  test('refuses both options together', async () => {
    const argv = ['apply', '--discard-changes', '--save-as', 'x', 'disk.qcow2', '1'];
    const { code, stderr } = await qsnap(argv);
    expect(code).toBe(1);
    expect(stderr).toContain("'--discard-changes' cannot be used with option '--save-as <name>'");
  });
});

describe('delete', () => {
  test('deletes several in one pass and says what is free now', async () => {
    const image = imageOf('five-snapshots');
    const argv = ['delete', image, 'id:2', 'name:before database migration', '2'];
    const { code, stdout } = await qsnap(argv);
    expect(code).toBe(0);
    expect(stdout).toContain('Deleted 2 snapshots from ');
    expect(stdout).toContain('; freed 448 KiB (3 data clusters, 4 clusters of tables).\n');
    expect(await names(image)).toEqual([FIVE[0], FIVE[3], FIVE[4]]);
    await expectSound(image);
  });

  test('says where room stays that only tables had', async () => {
    const image = imageOf('five-snapshots');
    await qsnap(['create', image, 'new']);
    const planned = await qsnap(['delete', '--dry-run', image, 'new']);
    const { stdout } = await qsnap(['delete', image, 'new']);
    const stays =
      'Only tables had that room: it stays in the file, and the next edit writes there.\n';
    expect(stdout).toContain(`; freed 64 KiB (1 cluster of tables).\n${stays}`);
    expect(planned.stdout).toContain(`Frees 64 KiB (1 cluster of tables).\n${stays}`);
    expect(planned.stdout).not.toContain('give back');
    await expectSound(image);
  });

  test('deletes none when one selector is wrong', async () => {
    const image = imageOf('five-snapshots');
    const { code, stderr } = await qsnap(['delete', image, 'id:2', 'id:9']);
    expect(code).toBe(1);
    expect(stderr).toContain('no snapshot has the id or name "id:9"');
    expect(await names(image)).toEqual(FIVE);
    await expectSound(image);
  });

  test('says of one snapshot which it was', async () => {
    const image = imageOf('five-snapshots');
    const { stdout } = await qsnap(['delete', image, 'id:1']);
    expect(stdout).toContain('Deleted snapshot 1 "clean install" from ');
    await expectSound(image);
  });
});

describe('rename', () => {
  test('changes the name and nothing else', async () => {
    const image = imageOf('five-snapshots');
    const before = await listed(image);
    const { code, stdout } = await qsnap(['rename', image, 'clean install', 'golden 更']);
    expect(code).toBe(0);
    expect(shown(stdout, image)).toBe(
      'Renamed snapshot 1 "clean install" to "golden 更" in five-snapshots.qcow2.\n',
    );
    expect(await listed(image)).toEqual(
      before.map((snapshot, i) => (i === 0 ? { ...snapshot, name: 'golden 更' } : snapshot)),
    );
    await expectSound(image);
  });

  test('refuses a name that another snapshot has', async () => {
    const image = imageOf('five-snapshots');
    const { code, stderr } = await qsnap(['rename', image, 'id:1', 'release candidate']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /is called "release candidate" already\n.*\nThe image is unchanged\.\n$/,
    );
    await expectSound(image);
  });
});

const EDITS = [
  ['create', ['new']],
  ['apply', ['id:1', '--discard-changes']],
  ['delete', ['id:1', 'id:4']],
  ['rename', ['id:1', 'new']],
] as const;

describe.each(EDITS)('%s', (command, rest) => {
  test('--dry-run prints the plan and leaves the file as it is', async () => {
    const image = imageOf('five-snapshots');
    const before = { bytes: readFileSync(image), mtime: statSync(image).mtimeMs };
    const { code, stdout, stderr } = await qsnap([command, '--dry-run', image, ...rest]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(shown(stdout, image)).toMatchSnapshot();
    expect(readFileSync(image).equals(before.bytes)).toBe(true);
    expect(statSync(image).mtimeMs).toBe(before.mtime);
  });

  test('--json says the same of the plan as of the edit that follows', async () => {
    const image = imageOf('five-snapshots');
    const argv = [command, '--json', image, ...rest];
    const planned = await qsnap([...argv, '--dry-run']);
    const done = await qsnap(argv);
    expect([planned.code, done.code, done.stderr]).toEqual([0, 0, '']);
    const before = parsed('edit', planned.stdout) as Record<string, unknown>;
    const after = parsed('edit', done.stdout) as Record<string, unknown>;
    const { plan, 'dry-run': dry, ...facts } = before;
    expect(dry).toBe(true);
    expect(plan).toBeDefined();
    expect(after).toMatchObject({ ...facts, 'dry-run': false, filename: image });
    expect(after['file-size']).toBe(statSync(image).size);
    await expectSound(image);
  });

  test('--quiet prints nothing', async () => {
    const image = imageOf('five-snapshots');
    const ran = await qsnap(['-q', command, image, ...rest]);
    expect(ran).toEqual({ code: 0, stdout: '', stderr: '' });
    await expectSound(image);
  });

  test('--force-share is refused, and fine in a dry run', async () => {
    const image = imageOf('five-snapshots');
    const refused = await qsnap([command, '-U', image, ...rest]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('--force-share is for reading');
    expect((await qsnap([command, '-U', '--dry-run', image, ...rest])).code).toBe(0);
    await expectSound(image);
  });
});

describe('resize', () => {
  test('to a size, by a change, and back; it says what an apply will do', async () => {
    const image = imageOf('five-snapshots');
    const grown = await qsnap(['resize', image, '+4M']);
    expect(grown.stdout).toContain('from 4 MiB to 8 MiB (8388608 bytes)');
    expect(grown.stdout).toContain('5 snapshots keep their sizes (4 MiB): to apply one gives');
    expect((await qsnap(['resize', '--json', image, '10M'])).stdout).toContain('"resize"');
    const refused = await qsnap(['resize', image, '-6M']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('hint: --shrink allows it');
    const shrunk = await qsnap(['resize', '--shrink', '--verify', image, '-6M']);
    expect(shrunk.stdout).not.toContain('keep');
    expect(shrunk.stdout).toContain('to 4 MiB');
    await expectSound(image);
  });

  test('JSON has the shape of its schema, a dry run too', async () => {
    const image = imageOf('five-snapshots');
    parsed('edit', (await qsnap(['resize', '--json', '--dry-run', image, '1G'])).stdout);
    parsed('edit', (await qsnap(['resize', '--json', image, '1G'])).stdout);
    const planned = await qsnap(['resize', '-n', image, '2G']);
    expect(planned.stdout).toContain('5 snapshots keep their sizes');
    await expectSound(image);
  });

  test.each(['', 'x', '1.3', '10Q', '9999P', '--4M', '+', '1e3'])('%j is no size', async (size) => {
    const image = imageOf('five-snapshots');
    const { code, stderr } = await qsnap(['resize', image, size]);
    expect(code).toBe(1);
    expect(stderr).toContain('Write a size such as 20G');
    await expectSound(image);
  });

  test('an option that there is not is no size', async () => {
    const image = imageOf('five-snapshots');
    expect((await qsnap(['resize', '--shrnk', image, '1M'])).code).toBe(1);
    expect((await qsnap(['resize', image, '--shrink'])).code).toBe(1);
    await expectSound(image);
  });
});
