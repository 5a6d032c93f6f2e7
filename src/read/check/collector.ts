import { catalogEntry, type FindingCode } from './catalog.js';
import type { CatalogEntry } from './catalog-entry.js';
import type { Facts, Severity, Structure } from './finding-parts.js';
import type { Finding } from './finding.js';
import type { CodeLeftOut } from './report.js';

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
  /** Whether refcounts alone are wrong, which can be counted anew; default: by the structure. */
  readonly ofRefcounts?: boolean;
}

const NO_FACTS: Facts = {};
const SEVERITIES: readonly Severity[] = ['corruption', 'check-error', 'leak', 'note'];

/**
 * Counts all findings and keeps some. A graver finding takes the place of a less grave one, so that a thousand
 * leaks never push out the one corruption. Of one severity the first ones stay.
 */
export class FindingCollector {
  readonly #kept = new Map<Severity, Finding[]>();
  readonly #max: number;
  readonly #seen = new Map<CatalogEntry | CatalogEntry['ofRefcounts'], CodeLeftOut>();
  #size = 0;
  #doubts = false;
  /** By severity, as QEMU counts. */
  readonly counts: Record<Severity, number> = { corruption: 0, 'check-error': 0, leak: 0, note: 0 };
  /** The same for what QEMU does not count. */
  readonly beyondQemu: Record<Severity, number> = { ...this.counts };
  /** Whether something is wrong that QEMU calls sound. */
  losesData = false;
  /** What was found that may have referred to clusters: by the catalogue's words for it. */
  readonly ownersHidden = { unreadable: false, inferred: false };

  constructor(maxFindings: number) {
    this.#max = maxFindings;
  }

  add(code: FindingCode, found: Found): void {
    const entry = catalogEntry(code);
    const { times = 1 } = found;
    const isBeyond = entry.beyondQemu === true;
    (isBeyond ? this.beyondQemu : this.counts)[entry.severity] += isBeyond ? 1 : times;
    this.losesData ||= entry.losesData === true;
    const { hidesOwners } = entry;
    const ofRefcounts = found.ofRefcounts ?? isOfRefcounts(found.structure);
    if (hidesOwners !== undefined && !ofRefcounts) this.ownersHidden[hidesOwners] = true;
    const said = (ofRefcounts ? entry.ofRefcounts : undefined) ?? entry;
    const { remedy, advice } = said;
    this.#seen.set(said, { code, remedy, count: (this.#seen.get(said)?.count ?? 0) + 1 });
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
      remedy,
      advice,
      hint: undefined,
    });
  }

  /** Turns all leaks into findings of perhaps lost data: a lost table may have referred to these clusters. */
  doubtLeaks(): void {
    if (this.counts.leak === 0) return;
    this.losesData = true;
    this.#doubts = true;
    this.#kept.set('leak', (this.#kept.get('leak') ?? []).map(doubted));
  }

  /** Makes room for a finding, if need be by dropping a less grave one; false if there is none. */
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

  /** What is kept, the gravest first, and what there was more. */
  finish(): { readonly findings: readonly Finding[]; readonly leftOut: readonly CodeLeftOut[] } {
    const findings = SEVERITIES.flatMap((severity) => this.#kept.get(severity) ?? []);
    const leftOut = [...this.#seen.values()].flatMap(({ code: was, remedy: of, count: all }) => {
      const code = (this.#doubts ? DOUBTED[was] : undefined) ?? was;
      const remedy = code === was ? of : catalogEntry(code).remedy;
      const kept = findings.filter((one) => one.code === code && one.remedy === remedy).length;
      return all === kept ? [] : [{ code, remedy, count: all - kept }];
    });
    return { findings, leftOut };
  }
}

/** Refcounts name no guest data: what they lose can be counted anew. */
function isOfRefcounts(structure: Structure): boolean {
  return structure === 'refcount-table' || structure === 'refcount-block';
}

/** What a leak is called where it may be lost data. */
const DOUBTED: Partial<Record<FindingCode, FindingCode>> = {
  CLUSTER_LEAKED: 'CLUSTER_PERHAPS_LOST',
  REFCOUNT_TOO_HIGH: 'REFERENCES_PERHAPS_LOST',
};

function doubted(finding: Finding): Finding {
  const code = DOUBTED[finding.code];
  if (code === undefined) return finding;
  const { message, consequence, remedy, advice } = catalogEntry(code);
  return { ...finding, code, message: message(finding), consequence, remedy, advice };
}
