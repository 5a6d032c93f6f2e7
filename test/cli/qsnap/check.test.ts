/** The commands that check and mend: what they say, how they end, and what they leave. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { patientOf } from '../../support/damage.js';
import { fixtureNames } from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';
import { putRefcountAt } from '../../support/image-builder-layout.js';
import { buildImage, layoutOf } from '../../support/image-builder.js';
import { judgedByQemu, qemuImg } from '../../support/qemu.js';
import { expectSound, imageOf, parsed, qsnap, shown } from './harness.js';

interface Finding {
  readonly code: string;
  readonly offset: number;
}
interface Checked {
  readonly images: readonly {
    readonly findings: readonly Finding[];
    readonly unreferenced?: Readonly<Record<string, number>>;
  }[];
}

/** An empty image with so many leaked clusters behind its end. */
function withLeaks(count: number): string {
  const options = { version: 3, clusterBits: 12, refcountOrder: 4, extendedL2: false } as const;
  const empty = buildImage({ ...options, diskSizeBytes: 2 ** 20 });
  const first = empty.length / 4096;
  const bytes = new Uint8Array((first + count) * 4096);
  bytes.set(empty);
  for (let i = 0; i < count; i++) putRefcountAt(bytes, 2 * 4096, 16, first + i, 1n);
  const image = path.join(temporaryDirectory(), 'leaks.qcow2');
  writeFileSync(image, bytes);
  return image;
}

describe('check', () => {
  test('of a sound image: one line with the verdict, exit code 0, nothing written', async () => {
    const image = imageOf('five-snapshots');
    const before = { bytes: readFileSync(image), mtime: statSync(image).mtimeMs };
    const { code, stdout, stderr } = await qsnap(['check', image]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(shown(stdout, image)).toMatch(/^five-snapshots\.qcow2: no errors\n/);
    expect(readFileSync(image).equals(before.bytes)).toBe(true);
    expect(statSync(image).mtimeMs).toBe(before.mtime);
  });

  test.each([
    ['refcount-leaks', 3],
    ['refcount-too-low', 2],
    ['copied-flags-wrong', 2],
    ['dirty', 0],
  ])('of %s ends with %i, as qemu-img does', async (fixture, code) => {
    const image = imageOf(fixture);
    const ran = await qsnap(['check', image]);
    expect(ran.code).toBe(code);
    expect(shown(ran.stdout, image)).toMatchSnapshot();
    await judgedByQemu(async () => {
      const qemu = await qemuImg(['check', '-f', 'qcow2', image], { okCodes: 'any' });
      expect(ran.code).toBe(qemu.code);
    });
  });

  test.each(fixtureNames())('%s: --json is as its schema says', async (fixture) => {
    const image = imageOf(fixture);
    const { code, stdout } = await qsnap(['check', '--json', image]);
    const { images } = parsed('check', stdout) as Checked;
    expect(images).toHaveLength(1);
    expect([0, 1, 2, 3, 63]).toContain(code);
  });

  test('of several: the gravest exit code, and a wrong one does not stop the others', async () => {
    const images = [imageOf('refcount-leaks'), imageOf('qcow-version-1'), imageOf('version-3')];
    const { code, stdout, stderr } = await qsnap(['check', ...images]);
    expect(code).toBe(3);
    expect((await qsnap(['check', ...images, `${images[0]}.none`])).code).toBe(1);
    expect(stderr).toContain('this is a qcow image (version 1)');
    expect(stdout).toContain('version-3.qcow2: no errors');
  });

  test('of several: corruption is hidden by nothing, and a file that is no image hides nothing', async () => {
    const raw = path.join(temporaryDirectory(), 'raw.img');
    writeFileSync(raw, Buffer.alloc(5000, 'hello'));
    const [corrupt, leaks] = [imageOf('refcount-too-low'), imageOf('refcount-leaks')];
    const sound = imageOf('version-3');
    for (const [code, images] of [
      [2, [raw, corrupt, `${raw}.none`, leaks]],
      [1, [raw, `${raw}.none`, leaks, sound]],
      [3, [raw, leaks, sound]],
      [63, [raw, sound]],
      [0, [sound]],
    ] as const) {
      expect((await qsnap(['check', ...images])).code).toBe(code);
      expect((await qsnap(['check', ...images.toReversed()])).code).toBe(code);
    }
  });

  test('all findings can be had: what the text leaves out is in --json', async () => {
    const image = withLeaks(1500);
    const text = await qsnap(['check', image]);
    expect(text.stdout).toMatch(/\nand 1460 more: `--json` has them\n/);
    expect(text.stdout.match(/CLUSTER_LEAKED@/g)).toHaveLength(40);
    const { images } = parsed('check', (await qsnap(['check', '--json', image])).stdout) as Checked;
    expect(images[0]!.findings).toHaveLength(1500);
    expect(images[0]).toMatchObject({ 'findings-left-out': 0 });
    const more = await qsnap(['check', '--max-findings', '1200', image]);
    expect(more.stdout.match(/CLUSTER_LEAKED@/g)).toHaveLength(1200);
    expect(more.stdout).toContain('\nand 300 more: `--json` has them\n');
  });

  test('of what is no qcow2 image ends with 63, as qemu-img does', async () => {
    const file = path.join(temporaryDirectory(), 'raw.img');
    writeFileSync(file, Buffer.alloc(5000, 'hello'));
    const ran = await qsnap(['check', file]);
    expect(ran.code).toBe(63);
    expect(ran.stderr).toContain('not a qcow2 image');
    await judgedByQemu(async () => {
      expect((await qemuImg(['check', file], { okCodes: 'any' })).code).toBe(63);
    });
  });

  test('of an image of which snapshots can not be read: nothing counts as leaked', async () => {
    const image = imageOf('five-snapshots');
    const bytes = readFileSync(image);
    bytes.writeUInt32BE(1025, Number(bytes.readBigUInt64BE(64)) + 36);
    writeFileSync(image, bytes);
    const { code, stdout } = await qsnap(['check', '--json', image]);
    const one = (parsed('check', stdout) as Checked).images[0]!;
    const { findings } = one;
    expect(code).toBe(1);
    const codes = new Set(findings.map((finding) => finding.code));
    expect(codes).toContain('SNAPSHOT_EXTRA_TOO_LONG');
    expect(codes).toContain('CLUSTER_PERHAPS_LOST');
    expect(codes).not.toContain('CLUSTER_LEAKED');
    expect(codes).not.toContain('REFCOUNT_TOO_HIGH');
    expect(one.unreferenced).toMatchObject({ clusters: 25, tables: 10, 'not-looked-at': 0 });
  });

  test('--max-findings lists fewer and counts all', async () => {
    const image = imageOf('refcount-leaks');
    const all = await qsnap(['check', '--json', image]);
    const few = await qsnap(['check', '--json', '--max-findings', '1', image]);
    const [one] = (parsed('check', few.stdout) as Checked).images;
    const [whole] = (parsed('check', all.stdout) as Checked).images;
    expect(one!.findings).toHaveLength(1);
    expect({ ...one, findings: 0, 'findings-left-out': 0, 'codes-left-out': undefined }).toEqual({
      ...whole,
      findings: 0,
      'findings-left-out': 0,
    });
  });

  test('--quiet prints nothing of a sound image and all of a damaged one', async () => {
    expect((await qsnap(['-q', 'check', imageOf('version-3')])).stdout).toBe('');
    expect((await qsnap(['-q', 'check', imageOf('refcount-leaks')])).stdout).not.toBe('');
  });
});

describe('repair', () => {
  test('--plan prints every write and leaves the file as it is', async () => {
    const image = imageOf('refcount-too-low');
    const before = { bytes: readFileSync(image), mtime: statSync(image).mtimeMs };
    const { code, stdout } = await qsnap(['repair', '--plan', image]);
    expect(code).toBe(0);
    expect(shown(stdout, image)).toMatchSnapshot();
    expect(readFileSync(image).equals(before.bytes)).toBe(true);
    expect(statSync(image).mtimeMs).toBe(before.mtime);
    const json = await qsnap(['repair', '-n', '--json', image]);
    expect(parsed('repair', json.stdout)).toMatchObject({ 'dry-run': true, plan: {} });
  });

  test.each(['refcount-too-low', 'refcount-leaks', 'copied-flags-wrong', 'dirty', 'corrupt'])(
    'mends %s, and undo puts back every byte',
    async (fixture) => {
      const image = imageOf(fixture);
      const before = readFileSync(image);
      const undo = path.join(path.dirname(image), 'old.undo');
      const { code, stdout, stderr } = await qsnap(['repair', '--undo', undo, image]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('A check finds: no errors.\n');
      expect(stdout).toContain(`qsnap undo ${undo} ${image}`);
      expect((await qsnap(['check', image])).code).toBe(0);
      await expectSound(image);

      const undone = await qsnap(['undo', '--json', undo, image]);
      expect(parsed('undo', undone.stdout)).toMatchObject({ undone: true });
      expect(readFileSync(image).equals(before)).toBe(true);
      const again = await qsnap(['undo', undo, image]);
      expect(again.stdout).toContain('is what it was already: nothing was written.');
      expect(readFileSync(image).equals(before)).toBe(true);
    },
  );

  test('of perhaps lost data it says what it seems to hold, before and after it is given up', async () => {
    const image = imageOf('five-snapshots');
    const bytes = readFileSync(image);
    const { l1At } = layoutOf(bytes);
    writeFileSync(image, bytes.fill(0, l1At, l1At + 512));
    const seen = '4 clusters that nothing refers to: 1 looks like a table, 3 hold data.\n';
    const left = await qsnap(['repair', image]);
    expect(left.stdout).toContain('CLUSTER_PERHAPS_LOST (1 looks like a table, 3 hold data); ');
    const planned = await qsnap(['repair', '--plan', image, 'perhaps-lost']);
    expect(planned.stdout).toContain(`\nGives up ${seen}`);
    const done = await qsnap(['repair', image, 'perhaps-lost']);
    expect(done.stdout).toContain(`\nGave up ${seen}`);
    await expectSound(image);
  });

  test('--punch gives what is freed back to the host, and undo brings it back', async () => {
    const image = imageOf('no-snapshots');
    const { bytes, standard } = patientOf(readFileSync(image));
    for (const { at } of standard.slice(0, 4)) bytes.fill(0, at, at + 8);
    writeFileSync(image, bytes);
    const planned = await qsnap(['repair', '--plan', image, 'all', 'perhaps-lost']);
    const [, freed] = /\nFrees (.*) that nothing refers to, whatever was in them\)\.\n/.exec(
      planned.stdout,
    )!;
    expect(planned.stdout).not.toContain('give back to the host\n');
    expect(planned.stdout).toContain('--punch gives it back');
    expect(planned.stdout).not.toContain('tables)');

    const argv = ['repair', '--punch', image, 'all', 'perhaps-lost'];
    const json = await qsnap([...argv, '--plan', '--json']);
    const { plan } = parsed('repair', json.stdout) as {
      plan: { punch: { offset: number; length: number }[] };
    };
    const undo = path.join(path.dirname(image), 'old.undo');
    const done = await qsnap([...argv, '--undo', undo]);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toContain(
      `\nFreed ${freed} that nothing refers to, whatever was in them).\n`,
    );
    const after = readFileSync(image);
    const total = plan.punch.reduce((sum, { length }) => sum + length, 0);
    expect(total).toBeGreaterThan(0);
    if (!done.stdout.includes('The host could take nothing back')) {
      expect(done.stdout).toContain(' back to the host, replaced tables included.\n');
      for (const { offset, length } of plan.punch) {
        expect(after.subarray(offset, offset + length).every((byte) => byte === 0)).toBe(true);
      }
    }
    await expectSound(image);
    expect((await qsnap(['undo', undo, image])).code).toBe(0);
    expect(Buffer.compare(readFileSync(image), bytes) === 0).toBe(true);
  });

  test('of a sound image does nothing, and makes no undo file', async () => {
    const image = imageOf('version-3');
    const before = readFileSync(image);
    const undo = path.join(path.dirname(image), 'old.undo');
    const { code, stdout } = await qsnap(['repair', '--undo', undo, image]);
    expect(code).toBe(0);
    expect(shown(stdout, image)).toContain('nothing of what was chosen needs a repair');
    expect(existsSync(undo)).toBe(false);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('of one finding mends that one and says what is left', async () => {
    const image = imageOf('refcount-leaks');
    const found = await qsnap(['check', '--json', image]);
    const { findings } = (parsed('check', found.stdout) as Checked).images[0]!;
    const [{ code: name, offset }] = findings as [Finding];
    const { code } = await qsnap(['repair', image, `${name}@${offset}`]);
    expect(code).toBe(3);
    const left = await qsnap(['check', '--json', image]);
    const after = (parsed('check', left.stdout) as Checked).images[0]!.findings;
    // A refcount block in which a count changes is written anew: the others lie there now.
    const placeless = (all: readonly Finding[]) =>
      all.map((one) => ({ ...one, offset: undefined }));
    expect(placeless(after)).toEqual(placeless(findings.slice(1)));
    await qsnap(['repair', image]);
    await expectSound(image);
  });

  test('never writes over an undo file', async () => {
    const image = imageOf('refcount-leaks');
    const before = readFileSync(image);
    const { code, stderr } = await qsnap(['repair', '--undo', image, image]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('REPAIR_CHOICE_INVALID: refuses a word that names nothing', async () => {
    const image = imageOf('refcount-leaks');
    const before = readFileSync(image);
    const { code, stderr } = await qsnap(['repair', image, 'leek']);
    expect(code).toBe(1);
    expect(stderr).toContain('"leek" is neither a class of repairs nor a finding');
    const json = await qsnap(['repair', '--json', image, 'leek']);
    expect(parsed('repair', json.stdout)).toMatchObject({
      error: { code: 'REPAIR_CHOICE_INVALID' },
    });
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('drops a snapshot that is named, and no other', async () => {
    const image = imageOf('five-snapshots');
    const { code } = await qsnap(['repair', image, '--drop-snapshot', 'id:2']);
    expect(code).toBe(0);
    const { stdout } = await qsnap(['list', '--json', image]);
    const list = parsed('list', stdout) as { images: [{ snapshots: { id: string }[] }] };
    expect(list.images[0].snapshots.map(({ id }) => id)).toEqual(['1', '3', '4', '5']);
    await expectSound(image);
  });
});

test('undo refuses a file that is none, and an image that was changed since', async () => {
  const image = imageOf('refcount-leaks');
  const undo = path.join(path.dirname(image), 'old.undo');
  const other = imageOf('version-3');
  const wrong = await qsnap(['undo', '--json', other, image]);
  expect(parsed('undo', wrong.stdout)).toMatchObject({ error: { code: 'UNDO_FILE_INVALID' } });
  await qsnap(['repair', '--undo', undo, image]);
  await qsnap(['create', image, 'later']);
  const late = await qsnap(['undo', undo, image]);
  expect(late.code).toBe(1);
  expect(late.stderr).toMatch(/\nThe image is unchanged\.\n$/);
  await expectSound(image);
});
