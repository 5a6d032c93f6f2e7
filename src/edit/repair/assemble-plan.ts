import { hasSameBytes } from '../../base/bytes.js';
import type { Image } from '../../image/image.js';
import { encodeSwitch, type SwitchFields } from '../../qcow2/header.js';
import { INCOMPATIBLE, KNOWN_AUTOCLEAR, SWITCH_FROM } from '../../qcow2/spec.js';
import { freedRanges } from '../plan/freed.js';
import type { Ledger } from '../plan/ledger.js';
import { shadowBytesOf, sizeAfterShadow, type DescribedPlan, type WritePlan } from '../tx/plan.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import type { DecidedRefcounts } from './decide-refcounts.js';

/** Where the structures that the header names are after a repair. */
type NewPlaces = Pick<SwitchFields, 'activeL1' | 'refcountTable' | 'snapshotTable'>;

/** What was asked for besides new tables. */
interface Asked {
  /** Marks of the header that go. */
  readonly clears: readonly ('dirty' | 'corrupt')[];
  readonly punch: boolean;
}

/**
 * The plan of a repair, all of whose tables have their places; undefined where the image already is as planned.
 *
 * @param old the clusters that are free in the old state.
 */
export function assemblePlan(
  { header, headerSector, fileSizeBytes, geometry }: Image,
  places: NewPlaces,
  { clears, punch }: Asked,
  ledger: Ledger,
  { leaksLeft }: DecidedRefcounts,
  old: ClusterSet,
): DescribedPlan | undefined {
  const shadow = ledger.writes;
  const marks = clears.reduce((bits, name) => bits | (1n << BigInt(INCOMPATIBLE[name])), 0n);
  const bytes = encodeSwitch(header.version, headerSector, {
    ...places,
    diskSizeBytes: header.diskSizeBytes,
    autoclear: header.autoclear & KNOWN_AUTOCLEAR,
    ...(clears.length > 0 && { incompatible: header.incompatible & ~marks }),
  });
  const stored = headerSector.subarray(SWITCH_FROM, SWITCH_FROM + bytes.length);
  if (shadow.length === 0 && hasSameBytes(bytes, stored)) return undefined;
  const freed = freedRanges(ledger.counts, old, geometry, ledger.endCluster);
  const writes: WritePlan = {
    headerSector,
    fileSizeBytes,
    shadow,
    switch: { at: SWITCH_FROM, bytes },
    freed,
    // Only on request: a cluster that looks leaked may hold data that somebody looks for.
    punch: punch ? freed : [],
  };
  return {
    ...writes,
    operation: 'repair',
    summary: 'repair the image',
    created: [],
    facts: {
      shadowBytes: shadowBytesOf(shadow),
      growthBytes: sizeAfterShadow(writes) - fileSizeBytes,
      freedBytes: freed.reduce((sum, { length }) => sum + length, 0),
      freedDataBytes: 0,
      leakedClusters: leaksLeft,
    },
  };
}
