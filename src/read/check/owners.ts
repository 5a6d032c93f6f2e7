import type { Image, OpenImage } from '../../image/image.js';
import { metadataRegions, regionClusters } from '../../refs/regions.js';
import type { Scan } from '../../l1l2/scan.js';
import { COMPRESSED, compressedExtent, offsetOf } from '../../l1l2/entry.js';
import { swapWords } from '../../base/words.js';
import { indexOfOffset } from '../../refs/pointers.js';
import { disksOf, walkL1Tables, walkReferences, type WalkedTables } from '../../refs/walk.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { References } from './count-references.js';
import { OWNERS_MAX, type Owner, type OwnerKind } from './finding-parts.js';
import type { Finding } from './finding.js';
import type { StoredRefcountTable } from './stored-refcount-table.js';

/** Who points at an L2 table: the L1 entry, and the first guest byte that the table maps. */
interface Pointer {
  readonly at: number;
  readonly snapshot: number | undefined;
  readonly index: number;
  readonly diskSizeBytes: number;
}

/** What refers to one cluster: owners, and how many more there are. */
export interface OwnersOfOne {
  readonly owners: Owner[];
  leftOut: number;
}

/** Collects owners of the clusters that are asked for. */
class Owners {
  readonly #byCluster = new Map<number, OwnersOfOne>();
  /** By the lowest bits of its number whether a cluster may be asked for: no map is as fast. */
  readonly #mayBe = new Uint8Array(2 ** 16);
  readonly #clusterBytes: number;
  /** Owners that are listed of a cluster. */
  readonly most: number;

  constructor(clusters: Iterable<number>, clusterBytes: number, most: number) {
    this.#clusterBytes = clusterBytes;
    this.most = most;
    for (const cluster of clusters) {
      this.#byCluster.set(cluster, { owners: [], leftOut: 0 });
      this.#mayBe[cluster & 0xffff] = 1;
    }
  }

  /** False where no cluster that these bytes lie in is asked for; seldom true where none is. */
  mayAskFor(at: number, bytes: number): boolean {
    const last = Math.floor((at + bytes - 1) / this.#clusterBytes);
    for (let cluster = Math.floor(at / this.#clusterBytes); cluster <= last; cluster++) {
      if (this.#mayBe[cluster & 0xffff] !== 0) return true;
    }
    return false;
  }

  /** Adds the owner of these bytes to every cluster that they lie in and that is asked for. */
  add(at: number, bytes: number, owner: () => Owner): void {
    for (const of of this.#askedFor(at, bytes)) {
      if (of.owners.length < this.most) of.owners.push(owner());
      else of.leftOut += 1;
    }
  }

  /** The same for so many owners that are only counted. */
  addUnlisted(at: number, bytes: number, count: number): void {
    for (const of of this.#askedFor(at, bytes)) of.leftOut += count;
  }

  of(cluster: number): Readonly<OwnersOfOne> {
    return this.#byCluster.get(cluster) ?? { owners: [], leftOut: 0 };
  }

  *#askedFor(at: number, bytes: number): Iterable<OwnersOfOne> {
    const last = Math.floor((at + bytes - 1) / this.#clusterBytes);
    for (let cluster = Math.floor(at / this.#clusterBytes); cluster <= last; cluster++) {
      const of = this.#byCluster.get(cluster);
      if (of !== undefined) yield of;
    }
  }
}

/** The same findings with all that refers to the clusters that they are about. */
export async function withOwners(
  image: OpenImage,
  table: StoredRefcountTable,
  references: References,
  findings: readonly Finding[],
): Promise<readonly Finding[]> {
  const clusters = findings.flatMap(({ cluster }) => (cluster === undefined ? [] : [cluster]));
  if (clusters.length === 0) return findings;
  const owners = await collectOwners(image, table.blocks, references, clusters, OWNERS_MAX);
  return findings.map((finding) => {
    if (finding.cluster === undefined) return finding;
    const { owners: listed, leftOut } = owners(finding.cluster);
    return { ...finding, owners: listed, ownersLeftOut: leftOut };
  });
}

/** What the walk over references goes by. */
interface Walked {
  readonly tally: WalkedTables;
  readonly scan: Scan;
}

/**
 * Finds all that refers to some clusters.
 *
 * @param stored host offsets of the refcount blocks.
 * @param most owners that are listed of a cluster; the others are counted.
 * @returns the owners of a cluster that was asked for.
 */
export async function collectOwners(
  image: OpenImage,
  stored: Float64Array,
  walked: Walked,
  clusters: Iterable<number>,
  most: number,
): Promise<(cluster: number) => Readonly<OwnersOfOne>> {
  const owners = new Owners(clusters, image.geometry.clusterBytes, most);
  addMetadataOwners(image, stored, owners);
  await addReferences(image, walked, owners);
  return (cluster) => owners.of(cluster);
}

function addMetadataOwners(image: Image, stored: Float64Array, owners: Owners): void {
  const { clusterBytes } = image.geometry;
  const blocks = stored.filter((at) => at % clusterBytes === 0);
  let snapshot = 0;
  for (const region of metadataRegions(image, blocks)) {
    const of =
      region.owner === 'inactive-l1' ? snapshotWithL1(image, region.at, snapshot) : undefined;
    if (of !== undefined) snapshot = of + 1;
    const [first, end] = regionClusters(region, clusterBytes);
    owners.add(first * clusterBytes, (end - first) * clusterBytes, () => {
      return { kind: region.owner, snapshot: of, at: region.at, guestOffset: undefined };
    });
  }
}

/** Regions come in the order of the snapshots; those without entries have none. */
function snapshotWithL1(image: Image, at: number, from: number): number | undefined {
  return image.snapshots.findIndex(
    (one) => one.index >= from && one.l1.at === at && one.l1.entries > 0,
  );
}

async function addReferences(
  image: OpenImage,
  { tally, scan }: Walked,
  owners: Owners,
): Promise<void> {
  const { geometry } = image;
  const pointers: Pointer[][] = Array.from(tally.offsets, () => []);
  const unlisted = new Uint32Array(tally.offsets.length);
  await walkL1Tables(image, disksOf(image), ({ l1, snapshot: of }, words) => {
    const snapshot = of?.index;
    const diskSizeBytes = of?.diskSizeBytes ?? image.header.diskSizeBytes;
    for (let i = 0; i < words.length; i += 2) {
      const offset = offsetOf(words[i]!, words[i + 1]!);
      const pointer = { at: l1.at + i * 4, snapshot, index: i / 2, diskSizeBytes };
      if (offset === 0) continue;
      const known = indexOfOffset(tally.offsets, offset);
      if (pointers[known]!.length < owners.most) pointers[known]!.push(pointer);
      else unlisted[known]! += 1;
      const kind = snapshot === undefined ? 'active-l2' : 'inactive-l2';
      const at = pointer.at;
      owners.add(offset, geometry.clusterBytes, () => {
        return { kind, snapshot, at, guestOffset: undefined };
      });
    }
  });
  const addTable = (table: number, words: Uint32Array): void => {
    for (let i = 0; i < words.length; i += scan.stride) {
      const high = words[i]!;
      const low = words[i + 1]!;
      const isCompressed = (high & COMPRESSED) !== 0;
      const extent = isCompressed ? compressedExtent(high, low, scan.clusterBits) : undefined;
      const target = extent === undefined ? offsetOf(high, low) : Math.floor(extent.at / 512) * 512;
      if ((target === 0 && !isCompressed) || image.header.externalDataFile) continue;
      const bytes = extent?.sectorBytes ?? geometry.clusterBytes;
      if (!owners.mayAskFor(target, bytes)) continue;
      for (const pointer of pointers[table]!) {
        owners.add(target, bytes, () => {
          const at = tally.offsets[table]! + i * 4;
          return dataOwner(image, pointer, i / scan.stride, at, isCompressed);
        });
      }
      owners.addUnlisted(target, bytes, unlisted[table]!);
    }
  };
  await walkReferences(image, tally, {
    l2Table: (table, stored) => {
      swapWords(stored);
      addTable(table, stored);
    },
    bitmapEntry: (high, low, at) => {
      const offset = offsetOf(high, low);
      if (offset === 0) return;
      owners.add(offset, geometry.clusterBytes, () => {
        return { kind: 'bitmap-data', snapshot: undefined, at, guestOffset: undefined };
      });
    },
  });
}

function dataOwner(
  image: Image,
  { snapshot, index, diskSizeBytes }: Pointer,
  entry: number,
  at: number,
  isCompressed: boolean,
): Owner {
  const { geometry } = image;
  const diskEntries = l1EntriesFor(diskSizeBytes, geometry);
  const inTable = entry * geometry.clusterBytes;
  // What is mapped behind the disk is the saved machine.
  const isVmState = index >= diskEntries;
  const from = isVmState ? index - diskEntries : index;
  const kind: OwnerKind = isVmState ? 'vm-state' : isCompressed ? 'compressed-data' : 'guest-data';
  return { kind, snapshot, at, guestOffset: from * geometry.l2CoverageBytes + inTable };
}
