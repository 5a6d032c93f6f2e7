import {
  APPLY_TOGETHER,
  CREATE_TOGETHER,
  EDIT,
  refuseNoName,
  refuseWrong,
} from '../known-options.js';
import { snapshotDate } from '../now.js';
import type { ApplyingTogether, CreatingTogether, EditOptions } from '../options.js';
import type { GroupRequest } from './request.js';

/** The request that a call of `create` makes. @throws TypeError. */
export function creating(name: string, options: CreatingTogether & EditOptions): GroupRequest {
  refuseNoName(name);
  refuseWrong(options, CREATE_TOGETHER);
  return { operation: 'create', name, date: snapshotDate(options.date) };
}

/** The same of `apply`. */
export function applying(snapshot: string, options: ApplyingTogether & EditOptions): GroupRequest {
  refuseNoName(snapshot);
  refuseWrong(options, APPLY_TOGETHER);
  const { saveAs, discardChanges = false, date } = options;
  const kept = saveAs === undefined ? {} : { saveAs: { name: saveAs, date: snapshotDate(date) } };
  return { operation: 'apply', snapshot, discardChanges, ...kept };
}

/** The same of `delete`. */
export function deleting(names: string | readonly string[], options: EditOptions): GroupRequest {
  refuseWrong(options, EDIT);
  const snapshots = typeof names === 'string' ? [names] : [...names];
  if (snapshots.length === 0) throw new TypeError('a delete needs at least one snapshot');
  for (const name of snapshots) refuseNoName(name);
  return { operation: 'delete', snapshots };
}
