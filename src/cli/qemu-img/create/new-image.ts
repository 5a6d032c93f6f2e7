/** From the options of a new image as typed to what the engine makes. */
import type { CreateImageOptions } from '../../../index.js';
import { bytesOf, textOf } from '../grammar/bytes.js';
import { isOtherFormat } from '../disks/formats.js';
import { NEW_IMAGE, OPTION_CONFLICTS } from '../messages/create.js';
import type { Behaviour } from '../version/behaviour.js';
import { encryptionOf, refuseBothNames } from './encryption.js';
import { isOn, isPowerOfTwo, type GivenOptions } from './new-image-options.js';
import type { Refusal } from '../refusal.js';

type Fail = (reason: string) => Refusal;

const VERSIONS: Readonly<Record<string, 2 | 3>> = { '0.10': 2, v2: 2, '1.1': 3, v3: 3 };
const PREALLOCATIONS: readonly string[] = ['off', 'metadata', 'falloc', 'full'];
const COMPRESSION_TYPES: readonly string[] = ['zlib', 'zstd'];
const SECTOR_BYTES = 512n;
/** More than any format of today holds, and still exact. */
const LARGEST = BigInt(Number.MAX_SAFE_INTEGER) - 4n * 1024n * 1024n * 1024n;

/** Options of files that this system's file interface has no words for. */
export function ignoredHints(given: GivenOptions): string[] {
  const hint = given.get('extent_size_hint') ?? '0';
  return [
    ...(isOn(given.get('nocow')) ? ['nocow'] : []),
    ...(hint === '0' ? [] : ['extent_size_hint']),
  ];
}

/**
 * A new qcow2 image by the options as typed; the first that can't be is refused, in QEMU's order. Of encryption it is judged
 * alone what is asked for: `newEncryption` makes the keys.
 *
 * @throws Refusal.
 */
export function qcow2Options(
  given: GivenOptions,
  behaviour: Behaviour,
  fail: Fail,
): CreateImageOptions {
  refuseBothNames(given, fail);
  const option = (key: string, byDefault: string): string => given.get(key) ?? byDefault;
  const compat = option('compat', '1.1');
  const version = Object.hasOwn(VERSIONS, compat) ? VERSIONS[compat] : undefined;
  if (version === undefined) throw fail(NEW_IMAGE.notAccepted('version', compat));
  const backing = backingOf(given, fail);
  encryptionOf(given, behaviour, fail);
  const preallocation = option('preallocation', 'off');
  if (!PREALLOCATIONS.includes(preallocation)) {
    throw fail(NEW_IMAGE.notAccepted('preallocation', preallocation));
  }
  const compressionType = option('compression_type', 'zlib');
  if (!COMPRESSION_TYPES.includes(compressionType)) {
    throw fail(NEW_IMAGE.notAccepted('compression-type', compressionType));
  }
  refuseConflicts({ given, version, preallocation, compressionType }, fail);
  const size = BigInt(option('size', '0'));
  if (size < 0n) throw fail(NEW_IMAGE.negativeSize);
  const sizes = {
    clusterBytes: Number(option('cluster_size', '65536')),
    extendedL2: isOn(given.get('extended_l2')),
  };
  refuseHuge(size, sizes, NEW_IMAGE.tooLarge('qcow2'), fail);
  const dataFile = given.get('data_file');
  return {
    diskSizeBytes: Number(((size + SECTOR_BYTES - 1n) / SECTOR_BYTES) * SECTOR_BYTES),
    version,
    ...sizes,
    refcountBits: Number(option('refcount_bits', '16')) as CreateImageOptions['refcountBits'],
    lazyRefcounts: isOn(given.get('lazy_refcounts')),
    compressionType: compressionType as CreateImageOptions['compressionType'],
    preallocation: preallocation as NonNullable<CreateImageOptions['preallocation']>,
    ...(backing === undefined ? {} : { backing }),
    ...(dataFile === undefined
      ? {}
      : { dataFile: { name: bytesOf(dataFile), raw: isOn(given.get('data_file_raw')) } }),
  };
}

/** The longest L1 table. */
const L1_ENTRIES = 4n * 1024n * 1024n;

/**
 * Refuses sizes past what is exact here: as too large where no image can have them, else by name.
 *
 * @throws Refusal.
 */
export function refuseHuge(
  size: bigint,
  image: { readonly clusterBytes: number; readonly extendedL2: boolean },
  tooLarge: string,
  fail: Fail,
): void {
  if (size <= LARGEST) return;
  const cluster = BigInt(image.clusterBytes);
  const tableCovers = (cluster / (image.extendedL2 ? 16n : 8n)) * cluster;
  throw fail(size > L1_ENTRIES * tableCovers ? tooLarge : NEW_IMAGE.huge(size));
}

function backingOf(given: GivenOptions, fail: Fail): CreateImageOptions['backing'] {
  const name = given.get('backing_file');
  const typed = given.get('backing_fmt');
  const isKnown =
    typed === undefined || typed === 'qcow2' || typed === 'raw' || isOtherFormat(typed);
  if (!isKnown) throw fail(NEW_IMAGE.notAccepted('backing-fmt', typed));
  if (name === undefined) return undefined;
  const format = typed === undefined ? undefined : textOf(typed);
  return { name: bytesOf(name), format };
}

interface Judged {
  readonly given: GivenOptions;
  readonly version: 2 | 3;
  readonly preallocation: string;
  readonly compressionType: string;
}

/** What no image can have, in the order in which QEMU looks for it. */
function refuseConflicts({ given, version, ...rest }: Judged, fail: Fail): void {
  const { preallocation, compressionType } = rest;
  const isOld = version === 2;
  const extendedL2 = isOn(given.get('extended_l2'));
  const cluster = BigInt(given.get('cluster_size') ?? '65536');
  const width = BigInt(given.get('refcount_bits') ?? '16');
  const hasBacking = given.has('backing_file');
  const isRaw = isOn(given.get('data_file_raw'));
  const isKept = isOn(given.get('keep_data_file'));
  const C = OPTION_CONFLICTS;
  const conflicts: readonly (readonly [isThere: boolean, text: string])[] = [
    [isOld && extendedL2, C.extendedL2Version],
    [!isPowerOfTwo(cluster) || cluster < 512n || cluster > 2n ** 21n, C.clusterSize],
    [extendedL2 && cluster < 16384n, C.extendedL2Cluster],
    [preallocation !== 'off' && hasBacking && !extendedL2, C.preallocatedBacking],
    [given.has('backing_fmt') && !hasBacking, C.formatAlone],
    [isOld && isOn(given.get('lazy_refcounts')), C.lazyVersion],
    [!isPowerOfTwo(width) || width > 64n, C.refcountWidth],
    [isOld && width !== 16n, C.refcountVersion],
    [isRaw && hasBacking, C.rawBacking],
    [isOld && given.has('data_file'), C.dataFileVersion],
    [isRaw && !given.has('data_file'), C.rawAlone],
    [isKept && !given.has('data_file'), C.keptAlone],
    [isKept && (preallocation === 'falloc' || preallocation === 'full'), C.keptAndFilled],
    [isKept && !isRaw && preallocation !== 'metadata', C.keptUnseen],
    [isOld && compressionType !== 'zlib', C.compressionVersion],
  ];
  const found = conflicts.find(([isThere]) => isThere);
  if (found !== undefined) throw fail(found[1]);
}
