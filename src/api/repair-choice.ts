import { findSnapshot } from '../edit/snapshot/find.js';
import { parseRepairWords, type ChosenFinding, type RepairChoice } from '../edit/repair/choice.js';
import type { OpenImage } from '../image/image.js';
import { ownSnapshot } from '../image/own-snapshot.js';
import { refuseWrong, REPAIR } from './known-options.js';
import type { RepairingOptions, RepairTarget, SnapshotChoice } from './options.js';

/** The choice that a caller means, once the snapshots of the damaged image are known. */
export type Choose = (image: OpenImage) => RepairChoice;

/**
 * What is to be repaired, as a choice. An empty list chooses nothing: a filter may have left nothing.
 *
 * @throws QsnapError REPAIR_CHOICE_INVALID.
 */
export function choosing(
  targets: RepairTarget | readonly RepairTarget[],
  options: RepairingOptions,
): Choose {
  refuseWrong(options, REPAIR);
  const all: readonly RepairTarget[] = isList(targets) ? targets : [targets];
  if (!all.every(isTarget)) throw noTarget();
  const words = all.filter((target) => typeof target === 'string');
  const said = words.length === 0 ? { classes: [] } : parseRepairWords(words);
  const findings = [...(said.findings ?? []), ...all.filter(isFinding).map(placeOf)];
  const { dropSnapshots = [], emptyL1s = [], ...flags } = options;
  const { dropUnreadSnapshots = false, dropBitmaps = false, punch = false } = flags;
  return (image) => ({
    classes: said.classes,
    findings,
    dropSnapshots: dropSnapshots.map((choice) => positionOf(image, choice)),
    dropUnreadSnapshots,
    emptyL1s: emptyL1s.map((choice) => (choice === 'active' ? choice : positionOf(image, choice))),
    dropBitmaps,
    punch,
  });
}

const isList = (
  targets: RepairTarget | readonly RepairTarget[],
): targets is readonly RepairTarget[] => Array.isArray(targets);

const isTarget = (target: unknown): boolean =>
  typeof target === 'string' || (typeof target === 'object' && target !== null && 'code' in target);

const noTarget = (): TypeError =>
  new TypeError('a target of a repair is a text, or a finding with its code and offset');

const isFinding = (target: RepairTarget): target is ChosenFinding => typeof target === 'object';

const placeOf = ({ code, at }: ChosenFinding): ChosenFinding => ({ code, at });

function positionOf(image: OpenImage, choice: SnapshotChoice): number {
  const { index } =
    typeof choice === 'string' ? findSnapshot(image.snapshots, choice) : ownSnapshot(image, choice);
  return index;
}
