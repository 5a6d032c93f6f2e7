import type { ImageRecord } from './examine/record.js';

/** What the catalogue had of an image. */
export interface KnownImage {
  readonly have: number;
  readonly state: string;
  readonly file_bytes: number | null;
  readonly virtual_bytes: number | null;
  readonly is_dirty: boolean | null;
  readonly is_corrupt: boolean | null;
  readonly backing_name: string | null;
  readonly error_code: string | null;
}

/** What the catalogue had of a disk. */
export interface KnownDisk {
  readonly position: number;
  readonly snapshot_id: string | null;
  readonly name: string | null;
  readonly taken_at: number | null;
  readonly taken_nanoseconds: number | null;
  readonly content_sha256: string | null;
}

/** A row of `qsnap.changes`. */
export interface Change {
  readonly what: string;
  readonly was: string | undefined;
  readonly became: string | undefined;
}

/** What a reading found different from the one before; nothing where it is the first. */
export function changesBetween(
  before: KnownImage,
  disks: readonly KnownDisk[],
  record: ImageRecord,
): readonly Change[] {
  if (before.have === 0) return [];
  const { facts, failure } = record;
  const fields: readonly Field[] = [
    ['error', before.error_code, failure?.code],
    ...(facts === undefined || before.file_bytes === null
      ? []
      : ([
          ['file size', before.file_bytes, facts.fileBytes],
          ['disk size', before.virtual_bytes, facts.virtualBytes],
          ['dirty', before.is_dirty, facts.isDirty],
          ['corrupt', before.is_corrupt, facts.isCorrupt],
          ['backing file', before.backing_name, facts.backingName],
        ] satisfies readonly Field[])),
  ];
  const changed = fields.filter(([, was, became]) => (was ?? undefined) !== (became ?? undefined));
  return [
    ...changed.map(([what, was, became]) => ({ what, was: textOf(was), became: textOf(became) })),
    // What can't be read has not gone.
    ...(facts?.snapshotCount === undefined || before.file_bytes === null
      ? []
      : snapshotChanges(disks, record)),
  ];
}

type Value = string | number | boolean | null | undefined;
type Field = readonly [what: string, was: Value, became: Value];

const textOf = (value: Value): string | undefined =>
  value === undefined || value === null ? undefined : String(value);

/** A snapshot is the same while its id, name and date are. */
function snapshotChanges(disks: readonly KnownDisk[], { disks: now }: ImageRecord): Change[] {
  const wasThere = new Map(
    disks
      .filter(({ position }) => position > 0)
      .map((one) => [keyOf(one.snapshot_id, one.name, one.taken_at, one.taken_nanoseconds), one]),
  );
  const changes: Change[] = [];
  for (const one of now) {
    if (one.position === 0) continue;
    const key = keyOf(one.snapshotId, one.name, one.takenAt, one.takenNanoseconds);
    if (wasThere.delete(key)) continue;
    changes.push({ what: 'snapshot', was: undefined, became: `${one.snapshotId} ${one.name}` });
  }
  for (const { snapshot_id: id, name } of wasThere.values()) {
    changes.push({ what: 'snapshot', was: `${id} ${name}`, became: undefined });
  }
  const activeWas = disks.find(({ position }) => position === 0)?.content_sha256;
  const activeIs = now.find(({ position }) => position === 0)?.contentSha256;
  if (activeWas != null && activeIs !== undefined && activeWas !== activeIs) {
    changes.push({ what: 'content', was: activeWas, became: activeIs });
  }
  return changes;
}

function keyOf(...parts: readonly unknown[]): string {
  return JSON.stringify(parts.map((part) => part ?? null));
}
