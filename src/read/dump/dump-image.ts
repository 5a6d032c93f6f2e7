import { describeSnapshot } from '../../qcow2/describe-snapshot.js';
import { EXTENSION_TYPE } from '../../qcow2/spec.js';
import { decodeFeatureNames } from '../../qcow2/features.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import type { DumpedField } from './dumped.js';
import type { DumpableImage } from './dumpable.js';
import { extensionFields, type DumpedExtensions } from './extension-fields.js';
import { featureFields } from './feature-fields.js';
import { headerFields } from './header-fields.js';
import { DUMP_PARTS, type DumpPart } from './parts.js';
import { dumpCluster } from './dump-cluster.js';
import { dumpBitmaps } from './dump-bitmaps.js';
import { dumpEncryption } from './dump-encryption.js';
import { dumpL1Tables, dumpL2Tables, type DumpedDisk } from './dump-disks.js';
import { dumpRefcounts } from './dump-refcounts.js';
import { dumpSnapshots } from './dump-snapshots.js';

/** Options of `dumpImage`. */
export interface DumpOptions extends Stoppable {
  /** What to dump, in any order; without it all. */
  readonly parts?: readonly DumpPart[];
  /** Whose L1 and L2 tables: those of the active disk, of the snapshot at this index, or of all disks (the default). */
  readonly disk?: 'active' | number | 'all';
  /** Host clusters by their numbers, behind the parts: who refers to each, and its bytes. */
  readonly clusters?: readonly number[];
  /** Whether each entry of a table is told by itself, and not with those that go on from it. */
  readonly every?: boolean;
}

/**
 * Gives all fields of an image with their places, as they are stored. What can't be right is marked, and read as far as
 * it can be. Each table is read once, however many pointers lead to it, so that time and memory are bounded by the
 * length of the file.
 *
 * ```ts
 * for await (const fields of dumpImage(await openForDump(device))) {
 *   for (const { name, at, problem } of fields) console.log(at, name, problem);
 * }
 * ```
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function* dumpImage(
  opened: DumpableImage,
  options: DumpOptions = {},
): AsyncGenerator<readonly DumpedField[]> {
  const { parts = DUMP_PARTS, signal } = options;
  const image = stoppableImage(opened, signal, 'the dump');
  for (const part of DUMP_PARTS.filter((one) => parts.includes(one))) {
    for await (const fields of partOf(image, part, options)) {
      if (fields.length > 0) yield fields;
    }
  }
  for (const cluster of options.clusters ?? []) {
    for await (const fields of dumpCluster(image, cluster, options.every === true)) {
      if (fields.length > 0) yield fields;
    }
  }
}

async function* partOf(
  image: DumpableImage,
  part: DumpPart,
  { disk = 'all', every = false }: DumpOptions,
): AsyncGenerator<readonly DumpedField[]> {
  const { head, fileSizeBytes } = image;
  switch (part) {
    case 'header':
      yield headerFields(head, fileSizeBytes);
      return;
    case 'extensions':
      yield extensionsOf(image).fields;
      return;
    case 'features':
      if (image.raw.version < 3) return;
      yield featureFields(
        { at: 0, bytes: head },
        decodeFeatureNames(dataOf(image, 'featureNames')),
      );
      return;
    case 'snapshots':
      yield* dumpSnapshots(image);
      return;
    case 'l1':
      yield* dumpL1Tables(image, chosenDisks(image, disk), every);
      return;
    case 'l2':
      yield* dumpL2Tables(image, chosenDisks(image, disk), every);
      return;
    case 'refcounts':
      yield* dumpRefcounts(image, every);
      return;
    case 'bitmaps':
      yield* dumpBitmaps(image, dataOf(image, 'bitmaps'), every);
      return;
    case 'encryption':
      yield* dumpEncryption(image, dataOf(image, 'encryptionHeader'));
  }
}

function extensionsOf({ head, headerBytes, raw, geometry }: DumpableImage): DumpedExtensions {
  if (raw.version === 1) return { fields: [], extensions: [] };
  const clusterBytes = geometry?.clusterBytes ?? head.length;
  const nameAt = raw.backingNameAt;
  const isInside = nameAt >= BigInt(headerBytes) && nameAt < BigInt(clusterBytes);
  const limit = isInside ? Number(nameAt) : clusterBytes;
  return extensionFields({ at: 0, bytes: head }, headerBytes, limit);
}

/** The data of an extension; no bytes where there is none. */
function dataOf(image: DumpableImage, kind: keyof typeof EXTENSION_TYPE): Uint8Array {
  const type = EXTENSION_TYPE[kind];
  const found = extensionsOf(image).extensions.find((one) => one.type === type);
  return found?.data ?? new Uint8Array(0);
}

function chosenDisks(
  { raw, snapshots }: DumpableImage,
  disk: 'active' | number | 'all',
): readonly DumpedDisk[] {
  const active = { name: 'active disk', l1At: raw.l1At, l1Entries: raw.l1Entries };
  const others = snapshots
    .filter(({ index }) => disk === 'all' || disk === index)
    .map((snapshot) => ({
      name: `snapshot ${describeSnapshot(snapshot)}`,
      l1At: BigInt(snapshot.l1.at),
      l1Entries: snapshot.l1.entries,
    }));
  return typeof disk === 'number' ? others : disk === 'active' ? [active] : [active, ...others];
}
