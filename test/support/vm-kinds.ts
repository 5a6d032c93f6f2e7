/** Kinds of machines whose states are compared with what QEMU says of them. */
import { leaveOut } from './left-out.js';
import { majorVersion, type MachineKind } from './vm-machines.js';

const MiB = 2 ** 20;
/** What older versions can't do, or what was not tried with them. */
const MAPPED_RAM = { since: 11, lack: 'mapped-ram is not saved' };
const MICROVM = { since: 11, lack: 'the firmware of a microvm boots from no disk' };

/** It has no PCI, and nothing that shows a screen. */
const DEVICES_OF_MICROVM = ['-device', 'virtio-blk-device,drive=d'];

export interface Kind extends MachineKind {
  readonly name: string;
  readonly cpus: number;
  /** The first version of QEMU that it is for. */
  readonly needs?: { readonly since: number; readonly lack: string };
}

const SMALL: readonly Kind[] = [
  { name: 'pc', options: ['-M', 'pc', '-m', '32'], memoryBytes: 32 * MiB, cpus: 1 },
  {
    name: 'q35, 2 processors',
    options: ['-M', 'q35', '-m', '32', '-smp', '2'],
    memoryBytes: 32 * MiB,
    cpus: 2,
  },
  {
    name: 'pc without a screen',
    options: ['-M', 'pc', '-m', '24'],
    devices: ['-device', 'virtio-blk-pci,drive=d'],
    memoryBytes: 24 * MiB,
    cpus: 1,
  },
  {
    name: 'microvm',
    options: ['-M', 'microvm', '-m', '32'],
    devices: DEVICES_OF_MICROVM,
    needs: MICROVM,
    memoryBytes: 32 * MiB,
    cpus: 1,
  },
];
const LARGE: readonly Kind[] = [
  { name: 'pc, 5 GiB', options: ['-M', 'pc', '-m', '5G'], memoryBytes: 64 * MiB, cpus: 1 },
  {
    name: 'q35, 5 GiB, 4 processors',
    options: ['-M', 'q35', '-m', '5G', '-smp', '4', '-cpu', 'max'],
    memoryBytes: 64 * MiB,
    cpus: 4,
  },
  {
    name: 'pc, split at 1 GiB, 3 processors',
    options: ['-M', 'pc,max-ram-below-4g=1G', '-m', '1536', '-smp', '3'],
    memoryBytes: 64 * MiB,
    cpus: 3,
  },
  { name: 'pc, 8 MiB', options: ['-M', 'pc', '-m', '8'], memoryBytes: 8 * MiB, cpus: 1 },
  {
    name: 'microvm, 5 GiB, 2 processors',
    options: ['-M', 'microvm', '-m', '5G', '-smp', '2'],
    devices: DEVICES_OF_MICROVM,
    needs: MICROVM,
    memoryBytes: 64 * MiB,
    cpus: 2,
  },
];
const IS_THOROUGH = process.env['QSNAP_THOROUGH'] === '1';
/** Small ones, and with `QSNAP_THOROUGH=1` large ones; each as QEMU saves it by itself, and with pages at fixed places. */
export function machineKinds(): readonly Kind[] {
  const plain = IS_THOROUGH ? [...SMALL, ...LARGE] : SMALL;
  const mapped = plain.map((kind) => {
    const needs = kind.needs ?? MAPPED_RAM;
    return { ...kind, name: `${kind.name}, mapped-ram`, isMappedRam: true, needs };
  });
  const version = majorVersion();
  return [...plain, ...mapped].filter(({ needs }) => {
    if (version === undefined || needs === undefined || version >= needs.since) return true;
    leaveOut(`${needs.lack} by QEMU ${version}: QSNAP_QEMU_SYSTEM names another one`);
    return false;
  });
}
