import { catalogEntry, type FindingCode } from './catalog.js';
import type { Facts, Finding, Severity, Structure } from './finding.js';

/** What is to be said of one finding; the catalogue has the rest. */
export interface Found {
  readonly structure: Structure;
  readonly at: number;
  readonly cluster?: number;
  /** How often QEMU counts it; default 1. */
  readonly times?: number;
  readonly found?: number | string;
  readonly expected?: number | string;
  readonly facts?: Facts;
}

const NO_FACTS: Facts = {};
const SEVERITIES: readonly Severity[] = ['corruption', 'check-error', 'leak', 'note'];

/**
 * Takes findings in: counts them all and keeps the gravest, of each severity the first, so that a
 * thousand leaks never push the one corruption out.
 */
export class FindingCollector {
  readonly #kept = new Map<Severity, Finding[]>();
  readonly #max: number;
  #seen = 0;
  #size = 0;
  /** By severity, as QEMU counts. */
  readonly counts: Record<Severity, number> = { corruption: 0, 'check-error': 0, leak: 0, note: 0 };
  /** The same for what QEMU does not count. */
  readonly beyondQemu: Record<Severity, number> = { ...this.counts };
  /** Whether something is wrong that QEMU calls sound. */
  losesData = false;

  constructor(maxFindings: number) {
    this.#max = maxFindings;
  }

  add(code: FindingCode, found: Found): void {
    const entry = catalogEntry(code);
    const { times = 1 } = found;
    const isBeyond = entry.beyondQemu === true;
    (isBeyond ? this.beyondQemu : this.counts)[entry.severity] += isBeyond ? 1 : times;
    this.losesData ||= entry.losesData === true;
    this.#seen += 1;
    if (!this.#makeRoom(entry.severity)) return;
    const kept = this.#kept.get(entry.severity) ?? [];
    this.#kept.set(entry.severity, kept);
    const { structure, at, cluster, found: was, expected, facts = NO_FACTS } = found;
    const told = { structure, at, cluster, found: was, expected, facts };
    kept.push({
      ...told,
      code,
      severity: entry.severity,
      beyondQemu: isBeyond,
      times,
      owners: [],
      ownersLeftOut: 0,
      message: entry.message(told),
      consequence: entry.consequence,
      remedy: entry.remedy,
      advice: entry.advice,
    });
  }

  /** Lets go of the last of the least grave, where that is less grave; false where nothing is. */
  #makeRoom(severity: Severity): boolean {
    if (this.#size < this.#max) {
      this.#size += 1;
      return true;
    }
    for (const other of SEVERITIES.toReversed()) {
      if (other === severity) return false;
      const kept = this.#kept.get(other) ?? [];
      if (kept.pop() !== undefined) return true;
    }
    return false;
  }

  /** What is kept, the gravest first, and how many more there were. */
  finish(): { readonly findings: readonly Finding[]; readonly leftOut: number } {
    const findings = SEVERITIES.flatMap((severity) => this.#kept.get(severity) ?? []);
    return { findings, leftOut: this.#seen - findings.length };
  }
}
