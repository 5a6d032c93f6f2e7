import type { QsnapError } from '../../errors.js';
import type { FindingCode } from './catalog.js';
import type { Remedy } from './finding-parts.js';
import type { Finding } from './finding.js';

/** Exit codes of `qemu-img check`: sound, not (wholly) checked, corruption, only leaks. */
export type CheckExitCode = 0 | 1 | 2 | 3;

/** The numbers of `qemu-img check --output=json`, exact however many findings are kept. */
export interface CheckTotals {
  readonly checkErrors: number;
  readonly corruptions: number;
  readonly leaks: number;
  /** End of the last host cluster that is in use or has a refcount, in bytes. */
  readonly imageEndOffset: number;
  /** Guest clusters of the virtual disk. */
  readonly totalClusters: number;
  /** Guest clusters of the active state that are allocated, the VM state included. */
  readonly allocatedClusters: number;
  /** Allocated guest clusters that do not follow their predecessor in the file. */
  readonly fragmentedClusters: number;
  readonly compressedClusters: number;
}

/** Where QEMU gives up without a report. */
export interface QemuFailure {
  /** `open`: it can't open the image; `check`: it stops within the check. */
  readonly when: 'open' | 'check';
  /** The error as strerror prints it. */
  readonly error: string;
  /** What is wrong with the header, where that is why the image is not opened. */
  readonly cause?: QsnapError;
}

/** Clusters that count as used and that nothing refers to, by what they seem to hold. */
export interface Unreferenced {
  readonly clusters: number;
  /** Those that look like tables which lead to other such clusters, or to snapshots. */
  readonly tables: number;
  /** Those that hold anything else but zeros. */
  readonly data: number;
  readonly zeros: number;
  /** Those behind `CheckOptions.lookBytes`. */
  readonly notLookedAt: number;
}

/** Findings of one code and remedy that are not kept. */
export interface CodeLeftOut {
  readonly code: FindingCode;
  readonly remedy: Remedy;
  readonly count: number;
}

/** What a check found. */
export interface CheckReport {
  readonly totals: CheckTotals;
  /** Findings that QEMU does not count, each as often as it occurs. */
  readonly beyondQemu: { readonly corruptions: number; readonly notes: number };
  /**
   * Whether something may be lost or unreadable that referred to clusters. The leaks of the totals, which are
   * QEMU's, may then be lost data, and only a repair of class `perhaps-lost` frees them.
   */
  readonly ownersHidden: boolean;
  /** Whether that is so for another reason than what the clusters hold: something can't be read, or is wrong. */
  readonly ownersUnreadable: boolean;
  /** What lies in clusters that nothing refers to; undefined where every refcount is right. */
  readonly unreferenced: Unreferenced | undefined;
  /** What is missing where the file was cut off, by kind and by `partOf` that; empty where it was not. */
  readonly cutOff: readonly string[];
  /** Set where QEMU prints no report; its exit code is 1 then. */
  readonly qemuFailure: QemuFailure | undefined;
  /** How `qemu-img check` ends. */
  readonly qemuExitCode: CheckExitCode;
  /** How `qsnap check` ends: as QEMU does, or 2 where QEMU overlooks damage that loses data. */
  readonly exitCode: CheckExitCode;
  /** The gravest first, in the order in which they were found. */
  readonly findings: readonly Finding[];
  /** Findings beyond `maxFindings`; the totals have them. */
  readonly findingsLeftOut: number;
  /** The same by code and remedy. */
  readonly codesLeftOut: readonly CodeLeftOut[];
  /** Snapshots that could be read, of those that the header claims. */
  readonly snapshots: { readonly read: number; readonly claimed: number };
}

/** Options of a check. */
export interface CheckOptions {
  /** Findings that are kept; default 1000. The totals are exact whatever it is. */
  readonly maxFindings?: number;
  /** Whether to find out who refers to the clusters of the findings, and where pointers may have led; default true. */
  readonly owners?: boolean;
  /** Bytes of clusters that nothing refers to that are looked at for lost tables; default 4 GiB. */
  readonly lookBytes?: number;
  /** Called now and then with the share of the work that is done, from 0 to 1. */
  readonly onProgress?: (done: number) => void;
  /** Ends the check before its next read, with ABORTED. */
  readonly signal?: AbortSignal | undefined;
}
