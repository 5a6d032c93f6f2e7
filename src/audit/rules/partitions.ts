import { isZero } from '../../base/bytes.js';
import { textsOf } from '../options.js';
import type { AuditFacts, GuestEnds, Rule, Violation } from '../rule.js';

const SIGNATURE = Uint8Array.from('EFI PART', (letter) => letter.charCodeAt(0));
/** The type of an EFI system partition, as it lies on the disk. UEFI specification, GPT. */
const EFI_SYSTEM = [
  ...[0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11],
  ...[0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b],
];
const PROTECTIVE = 0xee;
const BOOT_CODE_BYTES = 440;
const MBR_ENTRIES_AT = 446;
const MBR_ENTRY_BYTES = 16;
const MBR_SIGNATURE_AT = 510;

/** A GUID partition table, as its header says. */
interface Gpt {
  readonly sectorBytes: number;
  readonly backupSector: number;
  readonly entries: readonly Uint8Array[];
}

function startsWith(bytes: Uint8Array, at: number, wanted: Iterable<number>): boolean {
  return [...wanted].every((byte, i) => bytes[at + i] === byte);
}

function gptOf({ first }: GuestEnds): Gpt | undefined {
  const sectorBytes = [512, 4096].find((bytes) => startsWith(first, bytes, SIGNATURE));
  if (sectorBytes === undefined) return undefined;
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  const sector = (at: number): number => {
    return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  };
  const backupSector = sector(sectorBytes + 32);
  const at = sector(sectorBytes + 72) * sectorBytes;
  const count = Math.min(view.getUint32(sectorBytes + 80, true), 128);
  const entryBytes = view.getUint32(sectorBytes + 84, true);
  const entries = Array.from({ length: count }, (_, i) => {
    return first.subarray(at + i * entryBytes, at + (i + 1) * entryBytes);
  });
  return { sectorBytes, backupSector, entries };
}

const hasMbr = ({ first }: GuestEnds): boolean =>
  first[MBR_SIGNATURE_AT] === 0x55 && first[MBR_SIGNATURE_AT + 1] === 0xaa;

function mbrTypes(ends: GuestEnds): readonly number[] {
  if (!hasMbr(ends)) return [];
  return [0, 1, 2, 3].map((i) => ends.first[MBR_ENTRIES_AT + i * MBR_ENTRY_BYTES + 4]!);
}

/** Judges the disk's ends; says nothing where they can not be read. */
function ofEnds(
  { guestEnds }: AuditFacts,
  judge: (ends: GuestEnds, gpt: Gpt | undefined) => string | undefined,
): readonly Violation[] {
  if (guestEnds === undefined) return [];
  const message = judge(guestEnds, gptOf(guestEnds));
  return message === undefined ? [] : [{ message }];
}

/** How a machine could start from the disk. */
function waysToBoot(ends: GuestEnds, gpt: Gpt | undefined): readonly string[] {
  const isBios = hasMbr(ends) && !isZero(ends.first, 0, BOOT_CODE_BYTES);
  const isUefi = (gpt?.entries ?? []).some((entry) => startsWith(entry, 0, EFI_SYSTEM));
  return [...(isBios ? ['bios'] : []), ...(isUefi ? ['uefi'] : [])];
}

/** Rules about the partition tables of the active disk. */
export const PARTITION_RULES: readonly Rule[] = [
  {
    id: 'QS1901',
    name: 'gpt-backup',
    title: 'The backup of a GUID partition table lies at the end of the disk',
    reason:
      'A disk that was made larger keeps the backup where it ended before: firmware and installers call the table damaged.',
    needs: ['guest-ends'],
    options: {},
    judge: (facts) =>
      ofEnds(facts, ({ diskBytes, last }, gpt) => {
        if (gpt === undefined) return undefined;
        const { sectorBytes, backupSector } = gpt;
        const end = Math.floor(diskBytes / sectorBytes) - 1;
        if (backupSector !== end) {
          return `the backup of the partition table is said to lie in sector ${backupSector}, and the disk ends with sector ${end}`;
        }
        const isThere = startsWith(last, last.length - sectorBytes, SIGNATURE);
        return isThere
          ? undefined
          : `the last sector, ${end}, holds no backup of the partition table`;
      }),
  },
  {
    id: 'QS1902',
    name: 'protective-mbr',
    title: 'A GUID partition table has its protective MBR',
    reason:
      'A tool that knows only the MBR takes the disk for an empty one, and offers to write there.',
    needs: ['guest-ends'],
    options: {},
    judge: (facts) =>
      ofEnds(facts, (ends, gpt) =>
        gpt === undefined || mbrTypes(ends).includes(PROTECTIVE)
          ? undefined
          : 'the disk has a GUID partition table and no protective MBR',
      ),
  },
  {
    id: 'QS1903',
    name: 'bootable',
    title: 'A machine can start from the disk',
    reason:
      'An image of a data disk, or one that an installer did not finish, ships and then starts nowhere.',
    needs: ['guest-ends'],
    options: {
      by: { kind: 'words', words: ['bios', 'uefi'], about: 'By each of these; none: by any' },
    },
    judge: (facts, options) =>
      ofEnds(facts, (ends, gpt) => {
        const ways = waysToBoot(ends, gpt);
        const missing = textsOf(options, 'by').filter((way) => !ways.includes(way));
        if (missing.length > 0) {
          return `nothing on the disk says that it starts by ${missing.join(' or ')}`;
        }
        return ways.length > 0 ? undefined : 'the disk has neither boot code nor an EFI partition';
      }),
  },
];
