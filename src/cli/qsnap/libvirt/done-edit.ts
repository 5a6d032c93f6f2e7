import type { DoneGroupEdit, Image, Snapshot, SnapshotDate } from '../../../index.js';
import type { Named } from '../../two-meanings.js';
import type { Renamed } from '../name-warnings.js';

/** Which snapshots an edit is about. */
export interface Touched {
  readonly deleted?: readonly Snapshot[];
  readonly renamed?: Renamed | undefined;
  readonly applied?: Snapshot | undefined;
  /** Of what is created. */
  readonly date?: SnapshotDate;
}

/** What this is printed with: what is loaded for libvirt alone takes nothing from elsewhere, or all commands load more. */
export interface Words {
  warn(sentence: string): void;
  /** A text from a file as a terminal may have it. */
  printable(text: string): string;
  shellWord(text: string): string;
}

/** What was done to an image. */
export interface DoneEdit extends Touched {
  readonly path: string;
  /** As it was before. */
  readonly image: Pick<Image, 'snapshots'>;
  readonly created: readonly Named[];
}

/** What was done to each image of a group. */
export function doneInGroup(
  { request, images }: DoneGroupEdit,
  date: SnapshotDate,
): readonly DoneEdit[] {
  return images.map(({ file, image, plan, chosen }) => ({
    path: file,
    image,
    created: plan.created,
    date,
    ...(request.operation === 'delete' && { deleted: chosen }),
    ...(request.operation === 'apply' && { applied: chosen[0] }),
  }));
}
