/**
 * A word that is the id of one snapshot and the name of another: libvirt means the name, QEMU takes the id, so that
 * the wrong disk is reverted and reported as success.
 */
import { expect, test } from 'vitest';
import { expectSound, imageOf, qsnap, shown, type Ran } from './harness.js';

const WARNING =
  'warning: five-snapshots.qcow2: "5" is the id of snapshot 5 "release candidate" and the name of snapshot 6: ' +
  '`qemu-img snapshot -a` takes the id, libvirt means the name\n';

async function on(image: string, argv: readonly string[]): Promise<Ran> {
  const ran = await qsnap(argv);
  return { ...ran, stderr: shown(ran.stderr, image) };
}

test('create warns of a name that is the id of another snapshot', async () => {
  const image = imageOf('five-snapshots');
  expect((await on(image, ['create', '--dry-run', image, '5'])).stderr).toBe(WARNING);
  const { code, stdout, stderr } = await on(image, ['create', image, '5']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: WARNING });
  expect(shown(stdout, image)).toBe('Created snapshot 6 "5" in five-snapshots.qcow2.\n');
  await expectSound(image);
});

test('create warns of an id that is the name of another snapshot, given or chosen', async () => {
  const image = imageOf('five-snapshots');
  expect((await qsnap(['rename', image, '1', '6'])).stderr).toBe('');
  const chosen = await on(image, ['create', image, 'today']);
  expect(chosen.code).toBe(0);
  expect(chosen.stderr).toContain(
    '"6" is the id of snapshot 6 "today" and the name of snapshot 1: ',
  );
  const given = await on(image, ['create', '--id', 'today', image, 'tomorrow']);
  expect(given.stderr).toContain('"today" is the id of snapshot today "tomorrow" and the name of');
  await expectSound(image);
});

test('its own id as a name says nothing, nor does --quiet', async () => {
  const image = imageOf('five-snapshots');
  expect((await qsnap(['create', image, '6'])).stderr).toBe('');
  expect((await qsnap(['create', '--quiet', image, '5'])).stderr).toBe('');
  await expectSound(image);
});

test('rename warns of the id of another snapshot, and not of its own', async () => {
  const image = imageOf('five-snapshots');
  const { code, stderr } = await on(image, ['rename', image, 'clean install', '5']);
  expect(code).toBe(0);
  expect(stderr).toBe(WARNING.replace('snapshot 6:', 'snapshot 1:'));
  expect((await qsnap(['rename', image, 'id:1', '1'])).stderr).toBe('');
  await expectSound(image);
});

test('apply --save-as warns, too', async () => {
  const image = imageOf('five-snapshots');
  const { code, stderr } = await on(image, ['apply', image, '1', '--save-as', '5']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: WARNING });
  await expectSound(image);
});

test('a group warns of each image', async () => {
  const images = [imageOf('five-snapshots'), imageOf('five-snapshots')];
  const dry = await qsnap(['create', '5', '--dry-run', '--group', ...images]);
  const { code, stderr } = await qsnap(['create', '5', '--group', ...images]);
  expect(code).toBe(0);
  expect(stderr).toBe(dry.stderr);
  for (const image of images) {
    expect(stderr).toContain(`warning: ${image}: "5" is the id of snapshot 5 `);
    await expectSound(image);
  }
});
