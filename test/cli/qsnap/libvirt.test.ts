/**
 * libvirt keeps a list of snapshots of its own, and never reads that of an image: an edit says what of it is stale, and
 * how to mend it. Folders and files here are as libvirt 9.0 and 12.8 write them for a user.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { copyFixture } from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';
import { expectSound, imageOf, qsnap } from './harness.js';

interface Known {
  readonly name: string;
  readonly parent?: string;
  readonly current?: boolean;
  /** By target: `vda` is the first image. */
  readonly mode?: string;
}

let libvirt = '';
beforeEach(() => {
  libvirt = temporaryDirectory();
});

const xml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll("'", '&apos;');

function domainXml(name: string, images: readonly string[]): string {
  const disks = images.map(
    (image, i) => `
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='${xml(image)}'/>
      <target dev='vd${'abc'[i]!}' bus='virtio'/>
    </disk>`,
  );
  return `<domain type='qemu'>
  <name>${xml(name)}</name>
  <devices>${disks.join('')}
    <disk type='network'><source protocol='rbd' name='pool/x'/><target dev='vdz'/></disk>
  </devices>
</domain>`;
}

function define(name: string, images: readonly string[], known: readonly Known[]): void {
  const domain = domainXml(name, images);
  writeFileSync(path.join(libvirt, `${name}.xml`), `<!--\nWARNING\n-->\n\n${domain}\n`);
  const folder = path.join(libvirt, 'snapshot', name);
  mkdirSync(folder, { recursive: true });
  for (const { name: snapshot, parent, current, mode = 'internal' } of known) {
    const disks = images.map((_, i) => `<disk name='vd${'abc'[i]!}' snapshot='${mode}'/>`);
    const text = `<!--
WARNING: THIS IS AN AUTO-GENERATED FILE.
-->

<domainsnapshot>
  <name>${xml(snapshot)}</name>
  <state>shutoff</state>
  ${parent === undefined ? '' : `<parent>\n    <name>${xml(parent)}</name>\n  </parent>`}
  <creationTime>1700000000</creationTime>
  <memory snapshot='no'/>
  <disks>${disks.join('')}</disks>
  ${domain}
  <active>${current === true ? 1 : 0}</active>
</domainsnapshot>
`;
    writeFileSync(path.join(folder, `${snapshot}.xml`), text);
  }
}

/** What an edit says on stderr, without the folder of the image. */
async function said(argv: readonly string[], ...images: readonly string[]): Promise<string> {
  const { code, stderr } = await qsnap(argv, { env: { QSNAP_LIBVIRT: libvirt } });
  expect(code, stderr).toBe(0);
  return images.reduce(
    (text, image) => text.replaceAll(`${path.dirname(image)}/`, ''),
    stderr.replaceAll(`${libvirt}/`, ''),
  );
}

const FIVE: readonly Known[] = [
  { name: 'clean install' },
  { name: 'updates applied', parent: 'clean install' },
  { name: 'before database migration', parent: 'updates applied' },
  { name: 'after database migration', parent: 'before database migration', current: true },
];

test('delete: the snapshot is still listed', async () => {
  const image = imageOf('five-snapshots');
  define('web', [image], FIVE);
  expect(await said(['delete', image, 'updates applied', 'release candidate'], image)).toBe(
    `warning: five-snapshots.qcow2: libvirt's domain "web" still lists the snapshot "updates applied"; to mend that:
  virsh snapshot-delete web 'updates applied' --metadata
`,
  );
  await expectSound(image);
});

test('prune: each of them; another of the same name stands for the first', async () => {
  const image = imageOf('five-snapshots');
  define('web', [image], FIVE);
  const text = await said(['prune', '--keep-last', '3', '--yes', image], image);
  expect(text.match(/^ {2}virsh .*$/gm)).toEqual([
    "  virsh snapshot-delete web 'clean install' --metadata",
    "  virsh snapshot-delete web 'updates applied' --metadata",
  ]);
  await expectSound(image);
});

test('rename: a new description, that of each child, and the old one away', async () => {
  const image = imageOf('five-snapshots');
  define('web', [image], FIVE);
  expect(await said(['rename', image, 'before database migration', "b|&'x"], image)).toBe(
    `warning: five-snapshots.qcow2: libvirt's domain "web" still knows the snapshot by its old name "before database migration"; to mend that:
  virsh snapshot-dumpxml web 'before database migration' --security-info | sed '2s|<name>.*</name>|<name>b\\|\\&amp;'\\''x</name>|' | virsh snapshot-create web /dev/stdin --redefine
  virsh snapshot-dumpxml web 'after database migration' --security-info | sed '/<parent>/,/<.parent>/s|<name>.*</name>|<name>b\\|\\&amp;'\\''x</name>|' | virsh snapshot-create web /dev/stdin --redefine --current
  virsh snapshot-delete web 'before database migration' --metadata
`,
  );
  await expectSound(image);
});

test('create: the snapshot is not listed, and libvirt can be told of it', async () => {
  const image = imageOf('five-snapshots');
  define('web', [image], FIVE);
  const text = await said(['create', image, 'a&b', '--date', '@1700000000'], image);
  expect(text).toBe(
    `warning: five-snapshots.qcow2: libvirt's domain "web" does not list the new snapshot "a&b"; to mend that:
  { echo '<domainsnapshot><name>a&amp;b</name><state>shutoff</state><parent><name>after database migration</name></parent><creationTime>1700000000</creationTime>'; virsh dumpxml web --inactive --security-info; echo '</domainsnapshot>'; } | virsh snapshot-create web /dev/stdin --redefine --current
`,
  );
  await expectSound(image);
});

test('apply: the current one is another', async () => {
  const image = imageOf('five-snapshots');
  define('web', [image], FIVE);
  expect(await said(['apply', image, 'updates applied', '--discard-changes'], image)).toBe(
    `warning: five-snapshots.qcow2: libvirt's domain "web" takes "after database migration" for its current snapshot, not "updates applied"; to mend that:
  virsh snapshot-current web 'updates applied'
`,
  );
  expect(await said(['apply', image, 'after database migration'], image)).toBe('');
  const unknown = await said(['apply', image, 'release candidate'], image);
  expect(unknown).toContain('not "release candidate", which it does not list; to mend that:\n');
  expect(unknown).toContain('<name>release candidate</name><state>shutoff</state><creationTime>1');
  await expectSound(image);
});

test('a saved machine is one that runs', async () => {
  const image = imageOf('vm-state');
  define('web', [image], [{ name: 'other' }]);
  const { stdout } = await qsnap(['list', image]);
  const [, id] = /^\*? +(\S+) .*MiB +\S+ \w+B /m.exec(stdout) ?? [];
  expect(id, stdout).toBeDefined();
  const text = await said(['apply', image, `id:${id!}`], image);
  expect(text).toContain('<state>running</state>');
  expect(text).toContain(String.raw`<memory snapshot='\''internal'\''/>`);
  await expectSound(image);
});

test('several disks: the others are named; a group says it once', async () => {
  const [folder, other] = [temporaryDirectory(), temporaryDirectory()];
  const images = [copyFixture('five-snapshots', folder), copyFixture('five-snapshots', other)];
  define('web', images, FIVE);
  const [one = '', two = ''] = images;
  expect(await said(['delete', one, 'clean install'], one)).toContain(
    `still lists the snapshot "clean install", and takes it to be in ${two}, too; to mend that:\n`,
  );
  expect(await said(['create', one, 'x'], one)).toContain(
    `does not list the new snapshot "x"; it can revert to it once ${two} has such a one; to`,
  );
  const names = ['updates applied', 'before database migration'];
  const together = await said(['delete', ...names, '--group', ...images], one);
  expect(together.match(/^warning: .*$/gm)).toEqual(
    names.map(
      (name) =>
        `warning: five-snapshots.qcow2: libvirt's domain "web" still lists the snapshot "${name}"; to mend that:`,
    ),
  );
  for (const image of images) await expectSound(image);
});

test('the image by another folder, and with characters that XML has another form for', async () => {
  const folder = temporaryDirectory();
  symlinkSync(folder, `${folder}-link`);
  const plain = copyFixture('five-snapshots', folder);
  define('web', [path.join(`${folder}-link`, path.basename(plain))], FIVE);
  expect(await said(['delete', plain, '1'], plain)).toContain('still lists');
  const odd = path.join(folder, "a&'b.qcow2");
  execFileSync('cp', [plain, odd]);
  define('other', [odd], FIVE);
  expect(await said(['delete', odd, '2'], odd)).toContain('libvirt\'s domain "other" still lists');
  await expectSound(odd);
});

test('nothing is said of other images, external snapshots, domains without any, or with --quiet', async () => {
  const image = imageOf('five-snapshots');
  define('web', ['/images/five-snapshots.qcow2'], FIVE);
  define('new', [image], []);
  define('away', ['/images/x.qcow2'], [{ name: 'clean install' }]);
  expect(await said(['delete', image, '1'], image)).toBe('');
  define('ext', [image], [{ name: 'updates applied', mode: 'external' }]);
  expect(await said(['delete', image, '2'], image)).toBe('');
  define('web', [image], FIVE);
  expect(await said(['delete', '--quiet', image, '3'], image)).toBe('');
  const none = await qsnap(['delete', image, '4'], { env: { QSNAP_LIBVIRT: '' } });
  expect(none.stderr).toBe('');
  await expectSound(image);
});

test('a dry run says nothing, and --json prints its document alone on stdout', async () => {
  const image = imageOf('five-snapshots');
  define('web', [image], FIVE);
  expect(await said(['delete', '--dry-run', image, '1'], image)).toBe('');
  const env = { QSNAP_LIBVIRT: libvirt };
  const { stdout, stderr } = await qsnap(['delete', '--json', image, '1'], { env });
  expect(JSON.parse(stdout)).toMatchObject({ operation: 'delete' });
  expect(stderr).toContain('still lists');
  await expectSound(image);
});

test('an edit is done whatever lies in the folder', async () => {
  const image = imageOf('five-snapshots');
  define('web', [image], FIVE);
  const folder = path.join(libvirt, 'snapshot', 'web');
  const bad = (name: string, text: string): void => {
    writeFileSync(path.join(folder, name), text);
  };
  bad('no-xml.xml', `<domainsnapshot><name>${image}`);
  bad('no-name.xml', `<domainsnapshot><!-- ${image} --></domainsnapshot>`);
  bad('other.xml', `<volume>${image}</volume>`);
  bad('deep.xml', `${'<a>'.repeat(100_000)}${image}`);
  bad(
    'entities.xml',
    `<!DOCTYPE a [<!ENTITY b "cc">]><domainsnapshot><name>&b;</name></domainsnapshot>`,
  );
  bad('.hidden', `<domainsnapshot><name>clean install</name></domainsnapshot>`);
  execFileSync('mkfifo', [path.join(folder, 'pipe')]);
  mkdirSync(path.join(folder, 'folder.xml'));
  symlinkSync('nowhere', path.join(folder, 'gone.xml'));
  writeFileSync(path.join(libvirt, 'snapshot', 'a file'), '');
  expect((await said(['delete', image, '1'], image)).match(/^warning/gm)).toHaveLength(1);
  bad('large.xml', '');
  truncateSync(path.join(folder, 'large.xml'), 2 ** 21);
  expect(await said(['delete', image, '2'], image)).toMatch(
    /still lists[^]*\nwarning: libvirt has more files than qsnap looks at for this image\n$/,
  );
  await expectSound(image);
});

test('a name that is not what is shown of it gets no command, and a dash none that is an option', async () => {
  const image = imageOf('five-snapshots');
  expect((await qsnap(['rename', image, '1', 'a\\b'])).code).toBe(0);
  expect((await qsnap(['rename', image, '2', '--', '--metadata'])).code).toBe(0);
  define('web', [image], [{ name: 'a\\b' }, { name: '--metadata' }]);
  expect(await said(['delete', image, '1', '2'], image)).toBe(
    `warning: five-snapshots.qcow2: libvirt's domain "web" still lists the snapshot "a\\\\b"
warning: five-snapshots.qcow2: libvirt's domain "web" still lists the snapshot "--metadata"; to mend that:
  virsh snapshot-delete web --snapshotname=--metadata --metadata
`,
  );
  await expectSound(image);
});
