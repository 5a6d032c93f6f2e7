/**
 * A life that libvirt gives to disks, once with qemu-img and once with a link of that name to `qsnap-img`: the same calls,
 * exit codes and words, and images that hold the same.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { qsnap } from '../cli/qsnap/harness.js';
import { qemuVersion } from '../oracle/parity.js';
import { temporaryDirectory } from '../support/directories.js';
import { describeWithLibvirt, startLibvirt, type Libvirt } from '../support/libvirt.js';
import { check, contentHash, fileHash, qemuImg, qemuIo } from '../support/qemu.js';

const PROGRAM = fileURLToPath(new URL('../../bin/qsnap-img.js', import.meta.url));

const domainXml = (folder: string): string => `<domain type='qemu'>
  <name>web</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    ${['vda', 'vdb']
      .map(
        (target) => `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='${folder}/${target}.qcow2'/><target dev='${target}' bus='virtio'/></disk>`,
      )
      .join('\n')}
  </devices></domain>`;

const ENCRYPTED = `<volume><name>enc</name><capacity unit='MiB'>8</capacity><target><format type='qcow2'/>
  <encryption format='luks'><secret type='passphrase' uuid='11111111-2222-3333-4444-555555555555'/></encryption>
  </target></volume>`;

const SECRET = `<secret ephemeral='yes' private='no'><uuid>11111111-2222-3333-4444-555555555555</uuid></secret>`;

/** What libvirt is asked; `write N` is the guest's doing. */
const LIFE = [
  'define domain.xml',
  'write 1',
  'snapshot-create-as web s1',
  'write 2',
  'snapshot-create-as web s2 text',
  'snapshot-create-as web s2',
  'write 3',
  'snapshot-create-as web 7',
  'snapshot-revert web s1',
  'snapshot-list web --tree',
  'write 4',
  'snapshot-create-as web s3',
  'snapshot-revert web s2',
  'snapshot-delete web s1',
  'snapshot-delete web 7',
  'snapshot-revert web gone',
  'snapshot-delete web s3',
  'snapshot-create-as web e1 --disk-only',
  'write 5 .e1',
  'snapshot-create-as web e2 --disk-only',
  'snapshot-delete web e2',
  'snapshot-delete web e1',
  'snapshot-list web',
  // What libvirt 12.8 calls where an overlay of another branch loses the file below it.
  'call rebase -u -F qcow2 -f qcow2 -b FOLDER/vdb.qcow2 FOLDER/vda.e1',
  'call rebase -u -F qcow2 -f qcow2 -b FOLDER/vda.qcow2 FOLDER/vda.e1',
  'pool-define-as p dir --target FOLDER/pool',
  'pool-build p',
  'pool-start p',
  'vol-create-as p v1 8M --format qcow2',
  'vol-create-as p v2 8M --format qcow2 --backing-vol v1 --backing-vol-format qcow2',
  'vol-create-as p v3 8M --format qcow2 --prealloc-metadata',
  'vol-create-as p v4 8M --format qcow2 --prealloc-metadata --allocation 0',
  'vol-create-as p v5 8M --format raw',
  'vol-create --pool p features.xml',
  'vol-clone --pool p v1 clone',
  'vol-clone --pool p v1 clone-meta --prealloc-metadata',
  'vol-create-from p raw.xml v1 --inputpool p',
  'vol-resize --pool p v1 16M',
  'vol-resize --pool p v1 8M --shrink',
  'vol-resize --pool p v1 4M',
  'vol-info --pool p v1',
  'secret-define secret.xml',
  'secret-set-value 11111111-2222-3333-4444-555555555555 --base64 c2VjcmV0',
  'vol-create --pool p encrypted.xml',
  'undefine web',
  'undefine web --snapshots-metadata',
];

const FEATURES = `<volume><name>feat</name><capacity unit='MiB'>8</capacity><target><format type='qcow2'/>
  <compat>1.1</compat><features><lazy_refcounts/></features></target></volume>`;
const RAW = `<volume><name>plain</name><capacity unit='MiB'>8</capacity><target><format type='raw'/></target></volume>`;

interface Step {
  readonly line: string;
  readonly code: number | null;
  readonly said: string;
  readonly calls: readonly string[];
}

/** Times, ids and the folder of a run taken out. */
function masked(text: string, libvirt: Libvirt): string {
  return (
    text
      .replaceAll(path.dirname(libvirt.folder), 'HOME')
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
      .replaceAll(/(?<=\.secret\.)\w{6}/g, 'RANDOM')
      // How much room a file takes is the file system's answer, and where tables lie our own choice.
      .replaceAll(/(?<=Allocation: +)\S+ \w+/g, 'SIZE')
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000/g, 'TIME')
  );
}

async function lived(libvirt: Libvirt): Promise<readonly Step[]> {
  const { folder, shell, calls } = libvirt;
  const files = {
    ...{ domain: domainXml(folder), encrypted: ENCRYPTED, secret: SECRET },
    ...{ features: FEATURES, raw: RAW },
  };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(path.join(folder, `${name}.xml`), text);
  }
  expect(
    shell(
      `cd ${folder} && for d in vda vdb; do /usr/bin/qemu-img create -q -f qcow2 $d.qcow2 8M; done`,
    ).code,
  ).toBe(0);
  const steps: Step[] = [];
  for (const line of LIFE) {
    const [verb, byte, suffix = '.qcow2'] = line.split(' ');
    if (verb === 'write') {
      for (const disk of ['vda', 'vdb']) {
        const file = path.join(folder, `${disk}${suffix}`);
        await qemuIo(file, [`write -P ${byte!} ${byte!}M 200k`], { format: 'qcow2' });
      }
      continue;
    }
    const words = line.replaceAll('FOLDER', folder);
    const command = verb === 'call' ? words.replace('call', 'qemu-img') : `virsh -q ${words}`;
    const { code, stdout, stderr } = shell(`cd ${folder} && ${command}`);
    const said = masked(stdout + stderr, libvirt);
    steps.push({ line, code, said, calls: calls().map((call) => masked(call, libvirt)) });
  }
  return steps;
}

/** What each image is: snapshots, a check, and what a guest reads of it and of each snapshot. */
async function imagesIn(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const at = (folder_: string): string[] =>
    readdirSync(folder_).map((name) => path.join(folder_, name));
  const files = [...at(folder), ...at(path.join(folder, 'pool'))];
  const found: Record<string, unknown> = {};
  for (const file of files.filter((one) => !/\.xml$|calls$|pool$|\/enc$/.test(one))) {
    const { stdout } = await qemuImg(['info', '--output=json', file]);
    const info = JSON.parse(stdout) as {
      readonly format: string;
      readonly snapshots?: readonly { readonly id: string; readonly name: string }[];
    } & Record<string, unknown>;
    const { snapshots = [], format } = info;
    const hashes: unknown[] = [await (format === 'qcow2' ? contentHash(file) : fileHash(file))];
    for (const { id, name } of snapshots) hashes.push([id, name, await contentHash(file, id)]);
    const kept = ['virtual-size', 'format', 'backing-filename', 'format-specific', 'cluster-size'];
    found[path.relative(folder, file)] = {
      hashes,
      check: format === 'qcow2' ? (await check(file)).code : 0,
      ...Object.fromEntries(kept.map((key) => [key, info[key]])),
    };
  }
  return found;
}

async function withLibvirt<Result>(
  qemuImg_: string,
  use: (libvirt: Libvirt) => Promise<Result>,
): Promise<Result> {
  const libvirt = await startLibvirt(qemuImg_, qemuVersion());
  try {
    return await use(libvirt);
  } finally {
    await libvirt.stop();
  }
}

/** A link as whoever puts `qsnap-img` in qemu-img's place makes one. */
function linkedProgram(): string {
  const link = path.join(temporaryDirectory(), 'qemu-img');
  symlinkSync(PROGRAM, link);
  execFileSync('chmod', ['755', path.dirname(link)]);
  return link;
}

describeWithLibvirt('a life by libvirt', () => {
  test('is the same with qsnap-img in the place of qemu-img', { timeout: 300_000 }, async () => {
    const live = (program: string) =>
      withLibvirt(program, async (libvirt) => {
        const steps = await lived(libvirt);
        const text = JSON.stringify(await imagesIn(libvirt.folder), null, 1);
        return { steps, images: masked(text, libvirt) };
      });
    const theirs = await live('/usr/bin/qemu-img');
    const ours = await live(linkedProgram());
    for (const [i, step] of theirs.steps.entries()) {
      expect(ours.steps[i], step.line).toEqual(step);
    }
    expect(ours.images).toEqual(theirs.images);
    const commands = new Set(
      theirs.steps.flatMap(({ calls }) => calls).map((call) => call.split(' ')[1]),
    );
    expect([...commands].sort()).toEqual(
      expect.arrayContaining(['convert', 'create', 'resize', 'snapshot']),
    );
  });

  test('what qsnap says of libvirt mends it', { timeout: 120_000 }, async () => {
    await withLibvirt('/usr/bin/qemu-img', async ({ folder, config, shell }) => {
      const image = path.join(folder, 'a&b.qcow2');
      const xml = domainXml(folder).replace(/<disk type[^]*vdb' bus='virtio'\/><\/disk>/, (disks) =>
        disks.slice(0, disks.indexOf('</disk>') + 7).replace('vda.qcow2', 'a&amp;b.qcow2'),
      );
      writeFileSync(path.join(folder, 'domain.xml'), xml);
      const done = (line: string): string => {
        const { code, stdout, stderr } = shell(`cd ${folder} && ${line}`);
        expect({ code, stderr }, line).toEqual({ code: 0, stderr: '' });
        return stdout;
      };
      done(`/usr/bin/qemu-img create -q -f qcow2 'a&b.qcow2' 8M && virsh -q define domain.xml`);
      for (const name of ['s1', 's2', 's3']) done(`virsh -q snapshot-create-as web ${name}`);
      const edit = async (...argv: string[]): Promise<void> => {
        const { code, stderr } = await qsnap(argv, { env: { QSNAP_LIBVIRT: config } });
        expect(code, stderr).toBe(0);
        const commands = [...stderr.matchAll(/^ {2}(.*virsh .*)$/gm)].map(
          ([, command]) => command!,
        );
        expect(commands.length, stderr).toBeGreaterThan(0);
        for (const command of commands) done(command);
      };
      await edit('rename', image, 's2', "b|&'x");
      await edit('delete', image, 's1');
      await edit('create', image, 'fresh <1>');
      await edit('apply', image, "b|&'x", '--discard-changes');
      expect(done('virsh -q snapshot-list web --tree').trimEnd()).toBe(
        "b|&'x\n  |\n  +- s3\n      |\n      +- fresh <1>",
      );
      expect(done('virsh -q snapshot-current web --name').trim()).toBe("b|&'x");
      done(`virsh -q snapshot-revert web 'fresh <1>'`);
      done(`virsh -q snapshot-delete web 'fresh <1>'`);
      done(`virsh -q snapshot-delete web "b|&'x"`);
      const { stdout } = await qsnap(['list', image]);
      expect(stdout.match(/s\d|fresh|b\|/g)).toEqual(['s3']);
      expect((await check(image)).code).toBe(0);
    });
  });
});
