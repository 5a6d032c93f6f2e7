import type { RegionOwner } from '../../refs/regions.js';

/**
 * How bad a finding is. `corruption`, `leak` and `check-error` are QEMU's words, and what its
 * totals count; a `note` is worth knowing and wrong in no way that a check could count.
 */
export type Severity = 'corruption' | 'leak' | 'check-error' | 'note';

/**
 * Classes of repairs, what one can be asked for:
 *
 * - `all`: every repair that keeps all that guests read, and frees no cluster that may hold lost data;
 * - `leaks`: frees clusters that nothing refers to, if no lost table can have referred to them;
 * - `perhaps-lost`: frees them although a lost table may have: the data in these clusters is given up;
 * - `unreadable`: gives up entries that point where no data can be; the guest then reads zeros there.
 *
 * ```ts
 * for (const name of REPAIR_CLASSES) {
 *   const { after } = await proposeRepair(device, () => ({ classes: [name] }));
 *   console.log(name, after.findings.length);
 * }
 * ```
 *
 * Ours: docs/findings.md.
 */
export const REPAIR_CLASSES = ['all', 'leaks', 'perhaps-lost', 'unreadable'] as const;
/** One of these classes. */
export type RepairClass = (typeof REPAIR_CLASSES)[number];

/**
 * What mends a finding: a class of repairs; `manual` needs a decision that no program should take
 * alone, and no class does it; `none` needs nothing. The one table that repairs go by, too.
 */
export type Remedy = RepairClass | 'manual' | 'none';

/** Where a wrong value lies, by the names of QEMU's overlap checks where it has one. */
export type Structure = RegionOwner | 'active-l2' | 'inactive-l2' | 'unreferenced-cluster' | 'file';

/** What refers to a cluster, or lies in it. */
export type OwnerKind = Structure | 'guest-data' | 'compressed-data' | 'vm-state' | 'bitmap-data';

/** One reference to a host cluster. */
export interface Owner {
  readonly kind: OwnerKind;
  /** Position in the snapshot table; undefined for the active state and what belongs to the file. */
  readonly snapshot: number | undefined;
  /** Byte offset in the file of the entry or field that refers to the cluster. */
  readonly at: number;
  /** Byte on the virtual disk, or in the VM state for `vm-state`; undefined for metadata. */
  readonly guestOffset: number | undefined;
}

/** Numbers and texts that a finding is told with. */
export type Facts = Readonly<Record<string, number | string | boolean>>;

/** Owners that a finding lists; more are only counted. */
export const OWNERS_MAX = 16;
