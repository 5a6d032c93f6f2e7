/** `info`: what an image says of itself. */
import {
  eachOption,
  FILE_LONG,
  fileRequest,
  oneOperand,
  type ArgvContext,
  type FileRequest,
} from './argv.js';
import { byteString } from './bytes.js';
import type { Run } from './run-command.js';
import { sizeText, treeLines } from './human.js';
import type { QemuImgIo } from './io.js';
import { jsonText, type Tree } from './json.js';
import { BACKING_CHAIN_REFUSED, USAGE } from './messages.js';
import { withImage, type Opened, type ReadableFile } from './opened.js';
import { qcow2Specific } from './qcow2-specific.js';
import { Refusal } from './refusal.js';
import { listedSnapshots, warnAboutBitmaps } from './snapshot.js';
import { signed, snapshotId, snapshotName, snapshotTableLines } from './table.js';
import { fullBackingName, targetOf, type Target } from './target.js';
import type { Image, Snapshot } from '../../index.js';

const SECTOR_BYTES = 512;

/** What both formats have. */
interface Facts {
  readonly target: Target;
  readonly virtualBytes: number;
  readonly allocatedBytes: number;
}

interface InfoRequest extends FileRequest {
  readonly format: string | undefined;
  readonly json: boolean;
  readonly backingChain: boolean;
}

const GRAMMAR = {
  short: { h: false, f: true, U: false },
  long: { ...FILE_LONG, format: true, output: true, 'backing-chain': false },
};

/** Parses the arguments of `info`. */
export function parseInfo(argv: readonly string[], context: ArgvContext): Run | undefined {
  const values = new Map<string, string>();
  const operands = eachOption(argv, GRAMMAR, context, ({ name, value }) => {
    values.set(name, value);
  });
  if (operands === undefined) return undefined;
  const file = fileRequest(oneOperand(operands), values);
  const format = values.get('format');
  const output = values.get('output') ?? 'human';
  if (output !== 'json' && output !== 'human') throw new Refusal(USAGE.outputFormat);
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const request = {
    ...file,
    format,
    json: output === 'json',
    backingChain: values.has('backing-chain'),
  };
  return (io) => runInfo(request, io);
}

async function runInfo(request: InfoRequest, io: QemuImgIo): Promise<number> {
  const target = targetOf(request.operand, request.imageOpts, request.format);
  await withImage(target, request.forceShare, async (opened) => {
    const image = opened.kind === 'qcow2' ? opened.image : undefined;
    if (image !== undefined) warnAboutBitmaps(image, io);
    if (request.backingChain && image?.backingNameBytes !== undefined) {
      throw new Refusal(BACKING_CHAIN_REFUSED);
    }
    const facts = { target, ...(await sizesOf(opened)) };
    const specific = image === undefined ? undefined : await qcow2Specific(image);
    if (!request.json) {
      io.printLines(humanLines(facts, image, specific, io.show));
      return;
    }
    const tree = jsonTree(facts, image, specific);
    io.printLines([jsonText(request.backingChain ? [tree] : tree)]);
  });
  return 0;
}

/** QEMU counts disks in sectors: it cuts what a qcow2 header has over, and rounds a file up. */
async function sizesOf(
  opened: Opened<ReadableFile>,
): Promise<{ virtualBytes: number; allocatedBytes: number }> {
  const allocatedBytes = await opened.file.allocatedBytes();
  if (opened.kind === 'qcow2') {
    const { diskSizeBytes } = opened.image.header;
    return { virtualBytes: diskSizeBytes - (diskSizeBytes % SECTOR_BYTES), allocatedBytes };
  }
  const sectors = Math.ceil((await opened.file.sizeBytes()) / SECTOR_BYTES);
  return { virtualBytes: sectors * SECTOR_BYTES, allocatedBytes };
}

/** The backing file's name, where it would be opened, and its format, as byte strings. */
function backingOf(
  image: Image,
  target: Target,
): { name: string; full: string; format: string | undefined } | undefined {
  if (image.backingNameBytes === undefined) return undefined;
  const name = byteString(image.backingNameBytes).replace(/\0.*$/s, '');
  if (name === '') return undefined;
  const format = image.extensions.find(({ kind }) => kind === 'backing-format')?.bytes;
  return {
    name,
    full: fullBackingName(target.shown, name),
    format: format === undefined ? undefined : byteString(format),
  };
}

function humanLines(
  facts: Facts,
  image: Image | undefined,
  specific: Tree | undefined,
  show: (text: string) => string,
): string[] {
  const { target, virtualBytes, allocatedBytes } = facts;
  const lines = [
    `image: ${show(target.shown)}`,
    `file format: ${image === undefined ? 'raw' : 'qcow2'}`,
    `virtual size: ${sizeText(virtualBytes)} (${virtualBytes} bytes)`,
    `disk size: ${sizeText(allocatedBytes)}`,
  ];
  if (image === undefined) return lines;
  const { header, geometry } = image;
  if (header.encryption !== 'none') lines.push('encrypted: yes');
  lines.push(`cluster_size: ${geometry.clusterBytes}`);
  if (header.dirty) lines.push('cleanly shut down: no');
  const backing = backingOf(image, target);
  if (backing !== undefined) {
    const { name, full, format } = backing;
    const actual = full === name ? '' : ` (actual path: ${show(full)})`;
    lines.push(`backing file: ${show(name)}${actual}`);
    if (format !== undefined) lines.push(`backing file format: ${show(format)}`);
  }
  lines.push(...snapshotTableLines(listedSnapshots(image), show));
  if (specific !== undefined) {
    lines.push('Format specific information:', ...treeLines(specific, show));
  }
  return lines;
}

/** Members in the order that QEMU's dictionaries have, as measured. */
function jsonTree(facts: Facts, image: Image | undefined, specific: Tree | undefined): Tree {
  const { target, virtualBytes, allocatedBytes } = facts;
  if (image === undefined || specific === undefined) {
    return {
      'virtual-size': virtualBytes,
      filename: target.shown,
      format: 'raw',
      'actual-size': allocatedBytes,
      'dirty-flag': false,
    };
  }
  const snapshots = listedSnapshots(image);
  const backing = backingOf(image, target);
  return {
    ...(backing?.format !== undefined && { 'backing-filename-format': backing.format }),
    ...(snapshots.length > 0 && { snapshots: snapshots.map(snapshotTree) }),
    'virtual-size': virtualBytes,
    filename: target.shown,
    'cluster-size': image.geometry.clusterBytes,
    format: 'qcow2',
    'actual-size': allocatedBytes,
    'format-specific': { type: 'qcow2', data: specific },
    ...(backing !== undefined && { 'full-backing-filename': backing.full }),
    ...(image.header.encryption !== 'none' && { encrypted: true }),
    ...(backing !== undefined && { 'backing-filename': backing.name }),
    'dirty-flag': image.header.dirty,
  };
}

const NANOSECONDS = 1_000_000_000n;

function snapshotTree(snapshot: Snapshot): Tree {
  const { icount, vmClockNanoseconds, date } = snapshot;
  return {
    ...(icount !== undefined && { icount: signed(icount) }),
    'vm-clock-nsec': vmClockNanoseconds % NANOSECONDS,
    name: snapshotName(snapshot),
    'date-sec': date.seconds,
    'date-nsec': date.nanoseconds,
    'vm-clock-sec': vmClockNanoseconds / NANOSECONDS,
    id: snapshotId(snapshot),
    'vm-state-size': snapshot.vmStateBytes,
  };
}
