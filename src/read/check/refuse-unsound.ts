import { QsnapError } from '../../errors.js';
import type { BlockSource } from '../../io/device.js';
import { checkLate } from './late-check.js';
import type { CheckOptions, CheckReport, CheckTotals } from './report.js';

/** Flaws that an image may have. */
export interface AllowedFlaws extends Pick<CheckTotals, 'corruptions' | 'checkErrors' | 'leaks'> {
  /** Corruptions that QEMU does not look for; undefined: as many as there are. */
  readonly beyondQemu?: number;
}

/**
 * Checks an image that an edit is about to leave: what `executePlan` takes as `verify`.
 *
 * @param allowed what was there before and stays, or what a repair said that it leaves.
 * @throws QsnapError VERIFY_FAILED with the first finding beyond that.
 */
export async function refuseUnsound(image: BlockSource, allowed: AllowedFlaws): Promise<void> {
  const { totals, beyondQemu, findings } = await checkLate(image, { owners: false });
  const isWorse =
    totals.corruptions > allowed.corruptions ||
    totals.checkErrors > allowed.checkErrors ||
    totals.leaks > allowed.leaks ||
    beyondQemu.corruptions > (allowed.beyondQemu ?? Infinity);
  if (!isWorse) return;
  const first = firstOf(findings);
  throw new QsnapError(
    'VERIFY_FAILED',
    `a check of the new state finds an error: ${first?.message ?? 'more flaws than there may be'}`,
    {
      ...(first !== undefined && { structure: first.structure, at: first.at }),
      hint: 'nothing points at the new state yet; please report this with the image',
    },
  );
}

/**
 * What `executePlan` takes as `verify` of an edit: a new state may have no flaw more than the old one. The old one is
 * checked as a file of the new one's length, since a refcount behind the end is a leak once the file reaches it.
 *
 * @param sizeBytes how long the edit makes the file.
 * @throws QsnapError what `checkImage` throws of the old state.
 * QEMU: `snapshot -c` leaves that leak, too.
 */
export async function noWorseThan(
  source: BlockSource,
  sizeBytes: number,
  options: Omit<CheckOptions, 'owners'> = {},
): Promise<(image: BlockSource) => Promise<void>> {
  const old: BlockSource = {
    label: source.label,
    sizeBytes: () => Promise.resolve(sizeBytes),
    readBatch: (requests) => source.readBatch(requests),
    close: () => source.close(),
  };
  const { totals, beyondQemu } = await checkLate(old, { ...options, owners: false });
  return (image) => refuseUnsound(image, { ...totals, beyondQemu: beyondQemu.corruptions });
}

function firstOf(findings: CheckReport['findings']): CheckReport['findings'][number] | undefined {
  const order = ['corruption', 'check-error', 'leak'];
  return order.map((wanted) => findings.find(({ severity }) => severity === wanted)).find(Boolean);
}
