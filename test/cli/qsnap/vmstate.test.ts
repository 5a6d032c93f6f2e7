import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { expectedContents, fixtureNames } from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';
import { imageOf, parsed, qsnap } from './harness.js';

const MiB = 2 ** 20;
/** The boot ROM of the fixtures' machines: nothing but HLT. */
const HLT = 0xf4;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Runs `vmstate` on the fixture's snapshot with the second word at 1 MiB. */
const vmstate = (image: string, ...words: string[]): ReturnType<typeof qsnap> =>
  qsnap(['vmstate', image, 'running', ...words]);

// `vm-state-5gib` maps nothing there: its table alone tells of a VM state.
const SAVED = fixtureNames()
  .filter((name) => name.startsWith('vm-state') && name !== 'vm-state-5gib')
  .flatMap((fixture) => {
    return expectedContents(fixture).snapshots.flatMap(({ id, vmState }) => {
      return vmState?.sha256 == null ? [] : [{ fixture, id, vmState }];
    });
  });

test('there are saved machines', () => {
  expect(SAVED.length).toBeGreaterThan(4);
});

test.each(SAVED)('$fixture: extract $id gives the stream that QEMU wrote', async (one) => {
  const { fixture, id, vmState } = one;
  const out = path.join(temporaryDirectory(), 'stream');
  const ran = await qsnap(['vmstate', imageOf(fixture), `id:${id}`, 'extract', '-o', out]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  const stream = readFileSync(out);
  // QEMU reads as much as its table tells: with mapped-ram that is not all.
  expect(stream.length > vmState.sizeBytes).toBe(fixture === 'vm-state-qemu-11' && id === '2');
  expect(sha256(stream.subarray(0, vmState.sizeBytes))).toBe(vmState.sha256);
  expect(stream.at(-1)).toBe(0x7d);
});

test('a mapped-ram state of QEMU 11 has the memory of the plain one, and more than the table tells', async () => {
  const image = imageOf('vm-state-qemu-11');
  const folder = temporaryDirectory();
  const memory = async (snapshot: string): Promise<Buffer> => {
    const out = path.join(folder, snapshot);
    const ran = await qsnap(['vmstate', image, snapshot, 'memory', '-o', out]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    return readFileSync(out);
  };
  const [plain, mapped] = [await memory('plain'), await memory('mapped')];
  expect(plain.readBigUInt64LE(MiB)).toBe(0x1122334455667788n);
  expect(mapped.equals(plain)).toBe(true);
  const info = async (snapshot: string): Promise<unknown> =>
    parsed('vmstate', (await qsnap(['--json', 'vmstate', image, snapshot])).stdout);
  const machine = { machine: 'pc-i440fx-11.1', cpus: 1, 'main-memory': 2 * MiB, problems: [] };
  expect(await info('plain')).toMatchObject({ ...machine, 'stream-size': 157_903 });
  expect(await info('mapped')).toMatchObject({
    ...machine,
    capabilities: ['mapped-ram'],
    blocks: [{ name: 'pc.ram', 'mapped-ram': true }, {}, {}],
  });
});

test('info tells the machine, its RAM, its devices and where they lie', async () => {
  const { code, stdout } = await qsnap(['--json', 'vmstate', imageOf('vm-state'), 'running']);
  expect(code).toBe(0);
  expect(parsed('vmstate', stdout)).toMatchObject({
    machine: 'pc-i440fx-7.2',
    'stream-size': 157_679,
    'main-memory': 2 * MiB,
    cpus: 1,
    blocks: [{ name: 'pc.ram', size: 2 * MiB }, { name: 'pc.rom' }, { name: 'pc.bios' }],
    'memory-map': [
      { address: 0, size: 2 * MiB, block: 'pc.ram', kind: 'ram' },
      { address: 0xffff0000, size: 65_536, block: 'pc.bios', kind: 'firmware' },
    ],
    doubts: [],
    problems: [],
  });
});

test('memory: the word that each machine had, and the ROM at the end of 4 GiB', async () => {
  const image = imageOf('vm-state');
  const at = ['memory', '--at', '0x100000', '--length', '9'];
  expect((await vmstate(image, ...at)).stdout).toBe(
    `00100000: 00ff eedd ccbb aa99 00${' '.repeat(18)} .........\n`,
  );
  const other = await qsnap(['vmstate', image, 'booted', ...at]);
  expect(other.stdout).toContain('8877 6655 4433 2211');
  const rom = await vmstate(image, 'memory', '--at', '0xfffffff0', '--length', '16');
  expect(rom.stdout).toContain('fffffff0: f4f4 f4f4 f4f4 f4f4');
  // It lies over RAM below 1 MiB as well.
  const low = await vmstate(image, 'memory', '--at', '0xffff8', '--length', '16');
  expect(low.stdout).toContain('000ffff8: f4f4 f4f4 f4f4 f4f4 00ff eedd ccbb aa99');
  const block = ['memory', '--block', 'pc.bios', '--at', '0'];
  expect((await vmstate(image, ...block)).stdout).toContain('00000000: f4f4 f4f4');
});

test('memory as files: raw, padded, ELF and LiME have the same bytes at their places', async () => {
  const image = imageOf('vm-state');
  const folder = temporaryDirectory();
  const written = async (format: string): Promise<Buffer> => {
    const out = path.join(folder, format);
    const ran = await vmstate(image, 'memory', '-f', format, '-o', out);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    return format === 'padded' ? Buffer.alloc(0) : readFileSync(out);
  };
  const raw = await written('raw');
  expect(raw.length).toBe(2 * MiB);
  expect(raw.readBigUInt64LE(MiB)).toBe(0x99aabbccddeeff00n);
  await written('padded');
  const padded = path.join(folder, 'padded');
  expect([statSync(padded).size, statSync(padded).blocks * 512 < MiB]).toEqual([2 ** 32, true]);
  const lime = await written('lime');
  // As QEMU's dump has it: RAM, option ROMs, RAM, the boot ROM twice: no VGA is there, and no firmware was copied.
  const stretches: [first: number, end: number][] = [
    [0, 0xc0000],
    [0xc0000, 0xe0000],
    [0xe0000, 0xf0000],
    [0xf0000, MiB],
    [MiB, 2 * MiB],
    [0xffff0000, 2 ** 32],
  ];
  let at = 0;
  for (const [first, end] of stretches) {
    const told = [lime.readBigUInt64LE(at + 8), lime.readBigUInt64LE(at + 16)];
    expect([lime.toString('latin1', at, at + 4), ...told.map(Number)]).toEqual([
      ...['EMiL', first, end - 1],
    ]);
    at += 32;
    if (first === 0xf0000) expect(lime[at]).toBe(HLT);
    if (first === MiB) {
      expect(lime.subarray(at, at + MiB).equals(raw.subarray(MiB))).toBe(true);
    }
    at += end - first;
  }
  expect(at).toBe(lime.length);
  expect(lime.at(-1)).toBe(HLT);
  const elf = await written('elf');
  const lastSegment = 192 + 6 * 56;
  expect(elf.readBigUInt64LE(lastSegment + 24)).toBe(0xffff0000n);
  expect(elf[Number(elf.readBigUInt64LE(lastSegment + 8))]).toBe(HLT);
});

test('regs: a machine that halted at its first instruction', async () => {
  const image = imageOf('vm-state');
  const { stdout, code } = await vmstate(image, 'regs');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^EIP=0000fff1 EFL=00000002 \[-{7}\] CPL=0 II=0 A20=1 SMM=0 HLT=1$/m);
  expect(stdout).toContain('CS =f000 ffff0000 0000ffff 00009b00\n');
  const json = await qsnap(['--json', 'vmstate', image, 'running', 'regs', '--cpu', '0']);
  expect(parsed('vmstate', json.stdout)).toMatchObject({
    cpus: [{ cpu: 0, halted: true, rip: '0xfff1', cr0: '0x60000010' }],
  });
  const none = await vmstate(image, 'regs', '--cpu', '3');
  expect(none).toMatchObject({ code: 1, stdout: '' });
  expect(none.stderr).toContain('no registers of such a processor');
});

test('what there is not is said', async () => {
  const image = imageOf('vm-state');
  const disk = await qsnap(['vmstate', image, 'disk only']);
  expect(disk).toMatchObject({ code: 1, stdout: '' });
  expect(disk.stderr).toContain('snapshot 3 "disk only" has no VM state');
  expect((await vmstate(image, 'screen', '--text')).stderr).toContain('there is no VGA device');
  const hole = await vmstate(image, 'memory', '--at', '0x1ffff0', '--length', '0x20');
  expect(hole.stderr).toContain('0x1ffff0 to 0x200010 is not all memory');
  const block = await vmstate(image, 'memory', '--block', 'x', '--at', '0');
  expect(block.stderr).toContain('the VM state has no RAM block x');
  const failed = await qsnap(['--json', 'vmstate', image, 'disk only']);
  expect(parsed('vmstate', failed.stdout)).toMatchObject({
    error: { code: 'VM_STATE_NOT_FOUND', 'snapshot-id': '3', 'snapshot-name': 'disk only' },
  });
});

test('a stream that was overwritten is read as far as it goes, with a warning', async () => {
  const image = imageOf('vm-state');
  const bytes = readFileSync(image);
  // The first cluster of each stream begins with its magic; the flags of a record of RAM come after its list.
  const at = bytes.indexOf('QEVM');
  const list = bytes.indexOf('pc.bios', at);
  bytes.fill(0x40, list + 7 + 8, list + 7 + 8 + 8);
  writeFileSync(image, bytes);
  const { code, stdout, stderr } = await qsnap(['--json', 'vmstate', image, 'booted']);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /warning: .*the VM state at 0x[0-9a-f]+: a record of RAM has the flags 0x40/,
  );
  expect(parsed('vmstate', stdout)).toMatchObject({
    machine: 'pc-i440fx-7.2',
    blocks: [{ name: 'pc.ram' }, {}, {}],
    problems: [{ text: 'a record of RAM has the flags 0x40' }],
  });
});

test.each([
  [['memory'], '-o names a file, or --at a place'],
  [['memory', '-o', 'x', '--at', '0'], '-o names a file, or --at a place'],
  [['memory', '-o', '-'], 'only extract writes to stdout'],
  [['memory', '-o', 'x', '--block', 'a', '-f', 'elf'], 'a RAM block alone has no addresses'],
  [['memory', '-o', 'x', '--length', '5'], '--at tells from where on'],
  [['memory', '--at', '0', '-f', 'lime'], '--format is for files'],
  [['extract'], '-o names the file'],
  [['screen'], '-o FILE.png writes a picture'],
  [['info', '--cpu', '1'], '--cpu is not for info'],
  [['regs', '-o', 'x'], '--output is not for regs'],
])('options that can not go together: %j', async (words, says) => {
  const { code, stderr } = await vmstate(imageOf('vm-state'), ...words);
  expect(code).toBe(1);
  expect(stderr).toContain(says);
});

test('extract replaces no file unasked, and never the image', async () => {
  const image = imageOf('vm-state');
  const out = path.join(temporaryDirectory(), 'there');
  writeFileSync(out, 'mine');
  expect(await vmstate(image, 'extract', '-o', out)).toMatchObject({ code: 1 });
  expect(readFileSync(out, 'utf8')).toBe('mine');
  expect(await vmstate(image, 'extract', '-o', out, '--force')).toMatchObject({ code: 0 });
  expect(readFileSync(out).length).toBe(157_679);
  const itself = await vmstate(image, 'extract', '-o', image, '--force');
  expect(itself).toMatchObject({ code: 1 });
});
