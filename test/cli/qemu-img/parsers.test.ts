/**
 * How programs that people have read what qemu-img prints: their rules, in words of our own, over the output of each
 * version that is followed, and over that of the qemu-img that is installed.
 */
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { VERSIONS, type Version } from '../../../src/cli/qemu-img/version/behaviour.js';
import { qemuOutcome, qemuVersion } from '../../oracle/parity.js';
import { temporaryDirectory } from '../../support/directories.js';
import { describeWithQemu } from '../../support/qemu.js';
import { runInMemory } from './streams.js';

interface Tool {
  /** What a command line prints. */
  (...argv: string[]): Promise<string>;
  /** What one that ends with 1 says of that. */
  failing(...argv: string[]): Promise<string>;
}

interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function toolOf(run: (argv: readonly string[]) => Promise<Printed>): Tool {
  const printed = async (...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(argv);
    expect(code, stderr).toBe(0);
    return stdout;
  };
  const failing = async (...argv: string[]): Promise<string> => {
    const { code, stderr } = await run(argv);
    expect(code).toBe(1);
    return stderr;
  };
  return Object.assign(printed, { failing });
}

let folder = '';
const at = (name: string): string => path.join(folder, name);

const ours = (version: Version): Tool =>
  toolOf((argv) => runInMemory(argv, { env: { QSNAP_QEMU_VERSION: version } }));

const theirs = toolOf((argv) => qemuOutcome(argv, folder));

beforeAll(async () => {
  folder = temporaryDirectory();
  const make = ours('7.2');
  await make('create', '-q', '-f', 'qcow2', at('base.qcow2'), '64M');
  await make(
    'create',
    '-q',
    '-f',
    'qcow2',
    '-b',
    at('base.qcow2'),
    '-F',
    'qcow2',
    at('disk.qcow2'),
  );
  for (const name of ['one', 'two-b']) await make('snapshot', '-c', name, at('disk.qcow2'));
});

type Json = Readonly<Record<string, unknown>>;
const json = async (tool: Tool, ...argv: string[]): Promise<Json> =>
  JSON.parse(await tool(...argv)) as Json;

/** The first group of an expression in a text. */
function found(pattern: RegExp, text: string): string {
  const [, group] = pattern.exec(text) ?? [];
  expect(group, `${String(pattern)} in ${text}`).toBeDefined();
  return group!;
}

/** Lines `name: value` that begin at the left, by name in small letters with underscores. */
function topLines(text: string): ReadonlyMap<string, string> {
  const pairs = [...text.matchAll(/^([\w -]+):(.*)$/gm)];
  const named = pairs.map(([, name, value]) => [name!, value!.trim()] as const);
  return new Map(
    named.map(([name, value]) => [name.trim().toLowerCase().replaceAll(/[ -]/g, '_'), value]),
  );
}

/** The percentages of lines that end in a carriage return; each has to be one. */
function percentages(text: string, pattern: RegExp): readonly number[] {
  const records = text.split('\r').slice(0, -1);
  expect(records.length).toBeGreaterThan(0);
  return records.map((record) => Number(found(pattern, record)));
}

const PARSERS: Readonly<Record<string, (tool: Tool, version: Version) => Promise<void>>> = {
  // openstack/oslo.utils oslo_utils/imageutils/qemu.py
  'oslo.utils: fields of the JSON': async (tool) => {
    const info = await json(tool, 'info', '--output=json', at('disk.qcow2'));
    expect(info).toMatchObject({
      ...{ filename: at('disk.qcow2'), format: 'qcow2', 'virtual-size': 2 ** 26 },
      ...{ 'cluster-size': 65536, 'backing-filename': at('base.qcow2') },
      ...{ 'backing-filename-format': 'qcow2', 'format-specific': { type: 'qcow2' } },
    });
    expect(info['actual-size']).toBeTypeOf('number');
    expect(info['encrypted']).toBeUndefined();
    expect((info['snapshots'] as readonly Json[]).map(({ name }) => name)).toEqual([
      'one',
      'two-b',
    ]);
  },
  // openstack/nova nova/virt/images.py: lines, sizes as "(N bytes)", the real path of the backing file, and, behind the
  // line of the list, one that begins with ID.
  'nova: lines of the text': async (tool) => {
    const text = await tool('info', at('disk.qcow2'));
    const lines = topLines(text);
    expect(found(/\(\s*(\d+)\s+bytes\s*\)/, lines.get('virtual_size')!)).toBe(String(2 ** 26));
    expect(lines.get('file_format')).toBe('qcow2');
    expect(lines.get('image')).toBe(at('disk.qcow2'));
    expect(lines.get('cluster_size')).toBe('65536');
    expect(lines.get('backing_file')).toBe(at('base.qcow2'));
    expect(lines.get('disk_size')).toMatch(/^[\d.]+ [KM]iB$/);
    expect(text).toMatch(/^Snapshot list:\nID /m);
  },
  // apache/cloudstack plugins/hypervisors/kvm/src/main/java/org/apache/cloudstack/utils/qemu/QemuImg.java
  // All lines, those below a heading too, of which the last one of a name counts.
  'CloudStack: lines of the text': async (tool) => {
    const text = await tool('info', '-U', at('disk.qcow2'));
    const lines = [...text.matchAll(/^([^:\n]+):(.*)$/gm)];
    const named = new Map(
      lines.map(([, name, value]) => [name!.trim().replaceAll(' ', '_'), value!.trim()]),
    );
    expect(found(/\((\d+)/, named.get('virtual_size')!)).toBe(String(2 ** 26));
    expect(named.get('file_format')).toBe('qcow2');
    expect(named.get('image')).toBe(at('disk.qcow2'));
    expect(named.get('backing_file_format')).toBe('qcow2');
  },
  // The same file: a snapshot that is gone already counts as deleted, by the words of the message.
  'CloudStack: a deletion of what is gone': async (tool) => {
    const failed = await tool.failing('snapshot', '-d', 'gone', at('disk.qcow2'));
    expect(failed).toMatch(/snapshot not found|Can't find the snapshot/);
  },
  // proxmox/pve-storage PVE/Storage/Plugin.pm: whole numbers, a format without blanks, snapshots by name.
  'Proxmox: numbers of the JSON': async (tool) => {
    const info = await json(tool, 'info', '--output=json', at('disk.qcow2'));
    for (const key of ['virtual-size', 'actual-size']) expect(String(info[key])).toMatch(/^\d+$/);
    expect(info['format']).toMatch(/^\S+$/);
    expect(info['backing-filename']).toBe(at('base.qcow2'));
    const data = (info['format-specific'] as { readonly data: Json }).data;
    expect(data['data-file']).toBeUndefined();
    const dates = (info['snapshots'] as readonly Json[]).map((one) => one['date-sec']);
    for (const date of dates) expect(date).toBeGreaterThan(1_000_000_000);
  },
  // Many scripts: two digits behind the point, never less than before, and a hundred at last.
  'scripts: progress': async (tool) => {
    const text = await tool('convert', '-p', '-O', 'raw', at('disk.qcow2'), at('scripts.raw'));
    const seen = percentages(text, /\((\d+\.\d\d)\/100%\)/);
    expect(seen.at(-1)).toBe(100);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  },
  // kubevirt/containerized-data-importer pkg/image/qemu.go: below a hundred, two digits and two.
  'CDI: progress and JSON': async (tool) => {
    const text = await tool('convert', '-p', '-O', 'raw', at('disk.qcow2'), at('cdi.raw'));
    expect(Number(found(/\((\d?\d\.\d\d)\/100%\)/, text))).toBeLessThan(100);
    const info = await json(tool, 'info', '--output=json', at('base.qcow2'));
    expect(info).toMatchObject({ format: 'qcow2', 'virtual-size': 2 ** 26 });
    expect(info['backing-filename'] ?? '').toBe('');
  },
  // oVirt/vdsm lib/vdsm/storage/qemuimg.py
  'vdsm: info, check, measure, map, progress': async (tool) => {
    const info = await json(
      tool,
      'info',
      '--output',
      'json',
      '-f',
      'qcow2',
      '-U',
      at('disk.qcow2'),
    );
    expect(info['format-specific']).toMatchObject({ data: { compat: '1.1' } });
    const check = await json(tool, 'check', '--output', 'json', '-f', 'qcow2', at('disk.qcow2'));
    expect(check['image-end-offset']).toBeTypeOf('number');
    expect(check).not.toHaveProperty('leaks');
    const measured = await json(
      tool,
      'measure',
      '--output',
      'json',
      '-O',
      'qcow2',
      at('disk.qcow2'),
    );
    for (const key of ['required', 'fully-allocated']) expect(measured[key]).toBeTypeOf('number');
    const map: unknown = await json(tool, 'map', '--output', 'json', at('disk.qcow2'));
    expect(map).toMatchObject([{ start: 0, length: 2 ** 26, data: false, zero: true }]);
    const text = await tool(
      'convert',
      '-p',
      '-f',
      'qcow2',
      '-O',
      'raw',
      at('disk.qcow2'),
      at('v.raw'),
    );
    expect(percentages(text, /^\s*\(([\d.]+)\/100%\)\s*$/).at(-1)).toBe(100);
  },
  // The same file: what the help of older versions says that qemu-img can do.
  'vdsm: bitmaps in the help': async (tool, version) => {
    const isOld = VERSIONS.indexOf(version) < VERSIONS.indexOf('debian-10.0');
    expect(/^\s+bitmap (.+) filename bitmap/m.test(await tool('--help'))).toBe(isOld);
  },
  // canonical/multipass src/platform/backends/shared/qemu_img_utils/qemu_img_utils.cpp
  'Multipass: a line that has the name': async (tool) => {
    const lines = (await tool('snapshot', '-l', at('disk.qcow2'))).split('\n');
    expect(lines.filter((line) => line.includes('two-b'))).toHaveLength(1);
    expect(lines.some((line) => line.includes('three'))).toBe(false);
  },
  // Many scripts: two lines of heading, then id and name as words, the date and the time as words of their form.
  'scripts: words of a row': async (tool) => {
    const rows = (await tool('snapshot', '-l', at('disk.qcow2'))).trimEnd().split('\n').slice(2);
    const words = rows.map((row) => row.split(/\s+/));
    expect(words.map(([id, name]) => [id, name])).toEqual([
      ['1', 'one'],
      ['2', 'two-b'],
    ]);
    for (const row of rows) {
      expect(row).toMatch(
        /^\d+ +\S+ +0 B +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\d+:\d\d:\d\d\.\d{3} +0$/,
      );
    }
  },
  // Many scripts: the first number with points.
  'scripts: the version': async (tool, version) => {
    const told = found(/^qemu-img version (\d+\.\d+)\.\d+/, await tool('--version'));
    expect(told).toBe(version.replace('debian-', ''));
  },
};

describe.each(VERSIONS)('as %s', (version) => {
  test.each(Object.entries(PARSERS))('%s', async (_, parse) => {
    await parse(ours(version), version);
  });
});

describeWithQemu('the installed qemu-img', () => {
  test.each(Object.entries(PARSERS))('%s', async (_, parse) => {
    await parse(theirs, qemuVersion());
  });
});
