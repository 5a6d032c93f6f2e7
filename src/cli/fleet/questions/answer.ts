import type { SqlValue } from '../database/database.js';

/**
 * What a column holds: text from outside, which may hold anything; text that the catalogue has escaped; bytes; a count; a
 * moment; snapshots; or what a statement of somebody's own gives.
 */
export type ColumnKind = 'outside' | 'printed' | 'bytes' | 'count' | 'time' | 'snapshots' | 'value';

export interface AnswerColumn {
  /** As the catalogue calls it: in JSON and CSV. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  readonly kind: ColumnKind;
  /** For people, where there is no value. */
  readonly absent?: string;
}

/** What a question gives. */
export interface Answer {
  readonly columns: readonly AnswerColumn[];
  readonly rows: readonly (readonly SqlValue[])[];
  /** Whether there are more rows than were asked for. */
  readonly hasMore: boolean;
  /** For people: what is said where there is no row. */
  readonly ifNone: string;
}
