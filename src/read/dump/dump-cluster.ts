import { describeSnapshot } from '../../qcow2/describe-snapshot.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { isQsnapError } from '../../errors.js';
import { openForReading } from '../../image/open-for-reading.js';
import { hex } from '../../base/words.js';
import { counted, sameBytes } from '../../base/text.js';
import { locateClusters, type LocatedCluster } from '../locate/locate-clusters.js';
import type { BlockSource } from '../../io/device.js';
import type { Geometry } from '../../qcow2/geometry.js';
import type { Owner } from '../check/finding-parts.js';
import { readPiece, type DumpableImage } from './dumpable.js';
import type { DumpedField } from './dumped.js';

/** Bytes of a line. */
const LINE_BYTES = 16;

/**
 * The refcount of a host cluster, all that refers to it, and its bytes. Lines that repeat are one.
 *
 * @param every whether each line is told by itself.
 */
export async function* dumpCluster(
  image: DumpableImage,
  cluster: number,
  every: boolean,
): AsyncGenerator<readonly DumpedField[]> {
  const { geometry, source, fileSizeBytes } = image;
  const of = { part: 'cluster', structure: `cluster ${cluster}` } as const;
  const none = new Uint8Array(0);
  if (geometry === undefined) {
    const problem = { expected: 'cluster_bits and refcount_order that can be right' };
    const text = 'how long a cluster is, is not known';
    yield [{ ...of, name: 'cluster', at: 0, length: 0, bytes: none, text, problem }];
    return;
  }
  const { clusterBytes } = geometry;
  const at = cluster * clusterBytes;
  yield await ownerFields(image, cluster);
  const bytes = await readPiece(source, fileSizeBytes, at, clusterBytes);
  const { length } = bytes;
  if (length < clusterBytes) {
    const text = `the file ends at ${hex(fileSizeBytes)}`;
    const problem = { expected: `${clusterBytes} bytes` };
    yield [{ ...of, name: 'data', at, length: 0, bytes: none, text, problem }];
  }
  const lines: DumpedField[] = [];
  for (let from = 0; from < length;) {
    const line = bytes.slice(from, from + LINE_BYTES);
    let end = from + line.length;
    while (!every && end < length && sameBytes(line, bytes.subarray(end, end + LINE_BYTES))) {
      end += LINE_BYTES;
    }
    const text = textOf(line);
    lines.push({ ...of, name: 'data', at: at + from, length: end - from, bytes: line, text });
    from = end;
  }
  yield lines;
}

async function ownerFields(
  { source, geometry }: DumpableImage,
  cluster: number,
): Promise<readonly DumpedField[]> {
  const of = { part: 'cluster', structure: `cluster ${cluster}` } as const;
  const none = new Uint8Array(0);
  try {
    const opened = await openForReading(source);
    const [found] = await locateClusters(opened, [cluster]);
    const { owners, ownersLeftOut } = found!;
    const more = `and ${ownersLeftOut} more`;
    return [
      { ...of, ...(await refcountField(found!, source, geometry!)) },
      ...owners.map((owner): DumpedField => {
        const place = {
          at: owner.at,
          length: 8,
          bytes: none,
          text: ownerText(owner, opened.snapshots),
        };
        return { ...of, name: owner.kind, ...place };
      }),
      ...(ownersLeftOut === 0
        ? []
        : [{ ...of, name: 'owners', at: 0, length: 0, bytes: none, text: more }]),
    ];
  } catch (error) {
    // Of an image that can't be read so far nothing but the bytes is known.
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    const problem = { expected: 'a header that can be read' };
    const text = 'what refers to it is not known';
    return [{ ...of, name: 'owners', at: 0, length: 0, bytes: none, text, problem }];
  }
}

async function refcountField(
  { refcount, refcountAt = 0, references }: LocatedCluster,
  source: BlockSource,
  { refcountBits }: Geometry,
): Promise<Omit<DumpedField, 'part' | 'structure'>> {
  const length = refcountAt === 0 ? 0 : Math.ceil(refcountBits / 8);
  const bytes = new Uint8Array(refcount === undefined ? 0 : length);
  if (bytes.length > 0) await source.readBatch([{ at: refcountAt, into: bytes }]);
  const inNoBlock = refcountAt === 0 ? ' (it has no refcount block)' : '';
  const stored = refcount === undefined ? 'past the end of the file' : `${refcount}${inNoBlock}`;
  return {
    ...{ name: 'refcount', at: refcountAt, length, bytes },
    ...(refcount !== undefined && { value: refcount }),
    text: `${stored}, for ${counted(references, 'reference')}`,
    ...(refcount !== references && { problem: { expected: String(references) } }),
  };
}

function ownerText({ snapshot, guestOffset }: Owner, snapshots: readonly Snapshot[]): string {
  const named = snapshot === undefined ? undefined : snapshots[snapshot];
  const disk = named === undefined ? 'active disk' : `snapshot ${describeSnapshot(named)}`;
  if (guestOffset !== undefined) return `guest ${hex(guestOffset)} of ${disk}`;
  return snapshot === undefined ? 'of the image' : `of ${disk}`;
}

/** What of bytes can be printed, as hex dumps have it. */
function textOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
  ).join('');
}
