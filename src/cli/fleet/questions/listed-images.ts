import type { DatedSnapshot } from '../../../index.js';
import { printedBytes, utf8Text } from '../../../internal.js';
import type { ReadingSql } from '../database/database.js';

/** What the choice and the shortening of the snapshot table need of an image. */
export interface ListedImage {
  readonly id: number;
  readonly location: string;
  readonly isMeasured: boolean;
  readonly clusterBytes: number;
  readonly snapshotTableBytes: number;
  readonly snapshots: readonly DatedSnapshot[];
  /** By position in the snapshot table. */
  readonly entryBytes: readonly number[];
}

interface ListedRow {
  readonly id: number;
  readonly location: string;
  readonly is_measured: boolean;
  readonly cluster_bytes: number;
  readonly snapshot_table_bytes: number;
  readonly snapshots: string;
  readonly names: readonly string[] | null;
}

/** A row for each image, and names only where they count: rows cost more than what they hold. */
export async function listedImages(
  sql: ReadingSql,
  withNames: boolean,
): Promise<readonly ListedImage[]> {
  const names = withNames
    ? `(select json_agg(name order by position) from qsnap.disks where image_id = id and position > 0)`
    : 'null::json';
  const { rows } = await sql.query<ListedRow>(
    `select id, location, unmeasured is null as is_measured, cluster_bytes, snapshot_table_bytes,
      snapshot_numbers as snapshots, ${names} as names
    from qsnap.images where state = 'read' and snapshot_numbers is not null`,
  );
  return rows.map(listedImage);
}

/** Numbers of a snapshot in the text. */
const FIELDS = 4;

function listedImage(row: ListedRow): ListedImage {
  const numbers = numbersIn(row.snapshots);
  const snapshots: DatedSnapshot[] = [];
  const entryBytes: number[] = [];
  for (let at = 0; at < numbers.length; at += FIELDS) {
    const index = numbers[at]! - 1;
    const name = row.names?.[at / FIELDS];
    snapshots.push({
      index,
      name: name === undefined ? '' : nameOf(name),
      date: { seconds: numbers[at + 1]!, nanoseconds: numbers[at + 2]! },
    });
    entryBytes[index] = numbers[at + 3]!;
  }
  return {
    id: row.id,
    location: row.location,
    isMeasured: row.is_measured,
    clusterBytes: row.cluster_bytes,
    snapshotTableBytes: row.snapshot_table_bytes,
    snapshots,
    entryBytes,
  };
}

const COMMA = 0x2c;
const ZERO = 0x30;

/** Whole numbers with commas between them, of which there are millions: a list of texts takes as long as all the rest. */
function numbersIn(text: string): readonly number[] {
  const numbers: number[] = [];
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === COMMA) {
      numbers.push(value);
      value = 0;
    } else {
      value = value * 10 + code - ZERO;
    }
  }
  numbers.push(value);
  return numbers;
}

/** The catalogue has names as they are printed; patterns are for names. */
const nameOf = (printed: string): string =>
  printed.includes('\\') ? utf8Text(printedBytes(printed)) : printed;
