/** `measure`: how long the file of a new image becomes. */
import {
  isQsnapError,
  measureQcow2,
  type Image,
  type MeasureOptions,
  type Snapshot,
} from '../../index.js';
import { measureBitmaps, measuredDataBytes } from '../../internal.js';
import { eachOption, type ArgvContext } from './grammar/argv.js';
import { grammarOf } from './grammar/command-options.js';
import type { Run } from './run-command.js';
import { isOtherFormat } from './disks/formats.js';
import type { QemuImgIo } from './disks/io.js';
import { jsonText } from './json.js';
import { isJsonOutput, USAGE } from './messages/usage.js';
import { NEW_IMAGE, OPTION_CONFLICTS } from './messages/create.js';
import { MEASURE } from './messages/measure.js';
import { luksBytesOf } from './create/encryption.js';
import { LOAD_REASONS, loadFailed } from './messages/snapshot.js';
import { refuseHuge } from './create/new-image.js';
import {
  checkOptionList,
  isOn,
  isPowerOfTwo,
  parseNewImageOptions,
  type GivenOptions,
  type NewFormat,
} from './create/new-image-options.js';
import { byteCountOf } from './grammar/size-argument.js';
import type { Secrets } from './grammar/option-strings.js';
import { readSecrets } from './disks/secrets.js';
import { Refusal } from './refusal.js';
import {
  chosenSnapshot,
  parseSnapshotKeys,
  SNAPSHOT_KEYS,
  type SnapshotChoice,
} from './grammar/snapshot-choice.js';
import { withSourceDisk, type SourceDisk } from './disks/source-disk.js';

interface MeasureRequest {
  readonly operand: string | undefined;
  readonly imageOpts: boolean;
  readonly forceShare: boolean;
  readonly format: string | undefined;
  readonly secrets: Secrets;
  readonly size: bigint | undefined;
  readonly snapshot: SnapshotChoice | undefined;
  readonly outputFormat: string;
  readonly options: string;
  readonly json: boolean;
  readonly context: ArgvContext;
}

/** Parses the arguments of `measure`. */
export function parseMeasure(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const secrets: Secrets = new Map();
  const options: string[] = [];
  const snapshotIds = new Set<string>();
  let snapshotByKeys: SnapshotChoice | undefined;
  let size: bigint | undefined;
  const take = ({ name, value }: { name: string; value: string }): void => {
    if (name === 'size' || name === 's') size = byteCountOf(value, 'image size', context);
    else if (name === 'o') {
      checkOptionList(value);
      options.push(value);
    } else {
      if (name === 'output') isJsonOutput(value, context.behaviour);
      if (name === 'l' && value.startsWith(SNAPSHOT_KEYS)) {
        snapshotByKeys = parseSnapshotKeys(value, snapshotIds, context.warn);
      }
      values.set(name, value);
    }
  };
  const operands = eachOption(
    argv,
    grammarOf('measure', context.behaviour),
    context,
    take,
    secrets,
  );
  if (operands === undefined) return undefined;
  const [operand] = operands;
  if (operands.length > 1) throw new Refusal(MEASURE.oneFile);
  const needsFile = values.has('image-opts') || values.has('format') || values.has('l');
  if (operand === undefined && needsFile) throw new Refusal(MEASURE.needsFile);
  if (operand === undefined && size === undefined) throw new Refusal(MEASURE.needsSource);
  if (operand !== undefined && size !== undefined) throw new Refusal(MEASURE.sizeAndFile);
  if (values.has('image-opts') && values.has('format')) {
    throw new Refusal(USAGE.imageOptsAndFormat);
  }
  const request: MeasureRequest = {
    operand,
    imageOpts: values.has('image-opts'),
    forceShare: values.has('force-share'),
    format: values.get('format'),
    secrets,
    size,
    // Keys win over a bare word, whichever comes last.
    snapshot: snapshotByKeys ?? (values.has('l') ? { word: values.get('l')! } : undefined),
    outputFormat: values.get('O') ?? 'raw',
    options: options.join(','),
    json: values.get('output') === 'json',
    context,
  };
  return (io) => runMeasure(request, io);
}

async function runMeasure(request: MeasureRequest, io: QemuImgIo): Promise<number> {
  const { operand, size } = request;
  if (operand === undefined) {
    print(await measured(request, judged(request), sectorsOf(size!), undefined), request, io);
    return 0;
  }
  const select = (image: Image): Snapshot | undefined => selected(image, request);
  await withSourceDisk({ ...request, operand, select }, io, async (source) => {
    if (source.image === undefined && request.snapshot !== undefined) {
      throw loadFailed(LOAD_REASONS.raw);
    }
    const format = judged(request);
    const bytes = BigInt(source.image?.header.diskSizeBytes ?? source.sizeBytes);
    print(await measured(request, format, sectorsOf(bytes), source), request, io);
  });
  return 0;
}

const SECTOR_BYTES = 512n;

function sectorsOf(bytes: bigint): bigint {
  return ((bytes + SECTOR_BYTES - 1n) / SECTOR_BYTES) * SECTOR_BYTES;
}

function selected(image: Image, { snapshot }: MeasureRequest): Snapshot | undefined {
  if (snapshot === undefined) return undefined;
  const found = chosenSnapshot(image.snapshots, snapshot, loadFailed);
  if (found === undefined) throw loadFailed(LOAD_REASONS.notFound);
  return found;
}

interface Judged {
  readonly format: NewFormat;
  readonly given: GivenOptions;
}

/** The format and its options. Which are judged, QEMU does after it has opened the source. */
function judged({ outputFormat: format, options, context }: MeasureRequest): Judged {
  if (format !== 'qcow2' && format !== 'raw') {
    throw new Refusal(
      isOtherFormat(format) ? MEASURE.noMeasurement(format) : NEW_IMAGE.unknownFormat(format),
    );
  }
  const fail = (reason: string): Refusal =>
    new Refusal(MEASURE.invalidOptions(format), [{ named: reason }]);
  const given = parseNewImageOptions(options, format, context, fail);
  return { format, given };
}

interface Measured {
  readonly required: number | bigint;
  readonly fullyAllocated: number | bigint;
  readonly bitmaps: number | undefined;
}

async function measured(
  { context, secrets }: MeasureRequest,
  { format, given }: Judged,
  size: bigint,
  source: SourceDisk | undefined,
): Promise<Measured> {
  if (format === 'raw') return { required: size, fullyAllocated: size, bitmaps: undefined };
  const { version, ...options } = qcow2Options(given);
  const { clusterBytes } = options;
  // What else is said of encryption QEMU does not look at.
  const keysBytes =
    given.get('encrypt.format') === 'luks'
      ? luksBytesOf(given, context.behaviour, readSecrets(secrets), (reason) => new Refusal(reason))
      : 0;
  try {
    refuseHuge(size, options, MEASURE.tooLarge, (reason) => new Refusal(reason));
    const bytes = Number(size);
    // The least is not known where the data may show through from a backing file.
    const dataBytes = given.has('backing_file')
      ? Math.ceil(bytes / clusterBytes) * clusterBytes
      : await dataBytesOf(source, clusterBytes);
    const image = source?.image;
    const hasBitmaps = version === 3 && image?.header.version === 3;
    const bitmaps = hasBitmaps ? measureBitmaps(image.bitmaps, bytes, clusterBytes) : undefined;
    const inImage = source === undefined ? 0 : dataBytes;
    return { ...measureQcow2(bytes, inImage, { ...options, keysBytes }), bitmaps };
  } catch (error) {
    const isInvalid = isQsnapError(error) && error.code === 'NEW_IMAGE_INVALID';
    throw isInvalid ? new Refusal(MEASURE.tooLarge) : error;
  }
}

async function dataBytesOf(source: SourceDisk | undefined, clusterBytes: number): Promise<number> {
  if (source === undefined) return 0;
  return measuredDataBytes(source.disk.extents(0, source.sizeBytes), clusterBytes);
}

/** What the size depends on, judged in QEMU's order; the rest may say anything. */
function qcow2Options(given: GivenOptions): MeasureOptions & { readonly version: 2 | 3 } {
  const compat = given.get('compat') ?? '1.1';
  const extendedL2 = isOn(given.get('extended_l2'));
  const cluster = BigInt(given.get('cluster_size') ?? '65536');
  const preallocation = given.get('preallocation') ?? 'off';
  const width = BigInt(given.get('refcount_bits') ?? '16');
  const refuse = (reason: string): never => {
    throw new Refusal(reason);
  };
  if (!isPowerOfTwo(cluster) || cluster < 512n || cluster > 2n ** 21n) {
    refuse(OPTION_CONFLICTS.clusterSize);
  }
  if (extendedL2 && cluster < 16384n) refuse(OPTION_CONFLICTS.extendedL2Cluster);
  const isOld = compat === '0.10';
  if (!isOld && compat !== '1.1') refuse(MEASURE.invalidLevel(compat));
  if (!isPowerOfTwo(width) || width > 64n) refuse(OPTION_CONFLICTS.refcountWidth);
  if (isOld && width !== 16n) refuse(MEASURE.refcountVersion);
  if (!['off', 'metadata', 'falloc', 'full'].includes(preallocation)) {
    refuse(NEW_IMAGE.invalidValue(preallocation));
  }
  return {
    version: isOld ? 2 : 3,
    clusterBytes: Number(cluster),
    refcountBits: Number(width),
    extendedL2,
    preallocation: preallocation as MeasureOptions['preallocation'],
  };
}

function print(
  { required, fullyAllocated, bitmaps }: Measured,
  request: MeasureRequest,
  io: QemuImgIo,
): void {
  if (request.json) {
    const tree = { required, 'fully-allocated': fullyAllocated };
    io.printLines([jsonText(bitmaps === undefined ? tree : { bitmaps, ...tree })]);
    return;
  }
  const lines = [...MEASURE.lines(required, fullyAllocated)];
  io.printLines(bitmaps === undefined ? lines : [...lines, MEASURE.bitmapsLine(bitmaps)]);
}
