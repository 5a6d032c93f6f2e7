import { planStrip, type MappedVmState, type StrippedDisk } from '../../../index.js';
import { describeSnapshot, printableText } from '../../../internal.js';
import { nodeCryptography, nodeDecompressor } from '../../../node/index.js';
import type { ExitCode } from '../../exit-codes.js';
import { countText } from '../../text.js';
import type { Context } from '../context.js';
import { edit, type EditFlags } from '../editing.js';
import { readPassphrase } from '../passphrase.js';
import { givenBackLines, freedText } from '../present/plan-text.js';
import { selectSnapshot } from '../selection.js';
import { stayingJson, stayingLines, stayingVmState } from '../staying-vm-state.js';

/** Flags of `strip`. */
export interface StripFlags extends EditFlags {
  readonly whole?: boolean;
  readonly passphraseFile?: string;
}

/** `qsnap strip IMAGE [SNAPSHOT…]` */
export function strip(
  path: string,
  selectors: readonly string[],
  { whole, passphraseFile, ...flags }: StripFlags,
  context: Context,
): Promise<ExitCode> {
  let disks: readonly StrippedDisk[] = [];
  let staying: readonly MappedVmState[] = [];
  return edit(
    {
      path,
      flags,
      plan: async (image, planning) => {
        const named = selectors.map((text) => selectSnapshot(image, text));
        const options = {
          ...(named.length > 0 && { snapshots: [...new Set(named)] }),
          whole: whole === true,
          decompressor: nodeDecompressor(),
          cryptography: nodeCryptography(),
          ...(passphraseFile !== undefined && { passphrase: readPassphrase(passphraseFile) }),
        };
        if (whole === true) staying = await stayingVmState(image, named);
        const plan = await planStrip(image, options, planning);
        ({ disks } = plan);
        return plan;
      },
      doneLines: (plan, report, image) =>
        disks.length === 0
          ? [`${printableText(path)}: ${nothingText(whole === true)}.`]
          : [
              `Took VM state out of ${disksText(disks)} of ${printableText(path)}; freed ${freedText(plan, image)}.`,
              ...givenBackLines(plan, report),
              ...stayingLines(staying),
            ],
      plannedLines: () => stayingLines(staying),
      moreJson: () => stayingJson(staying),
    },
    context,
  );
}

function nothingText(whole: boolean): string {
  return whole ? 'no VM state was there' : 'no VM state was there that no entry tells of';
}

function disksText(disks: readonly StrippedDisk[]): string {
  const snapshots = disks.flatMap(({ snapshot }) => snapshot ?? []);
  const active = snapshots.length < disks.length ? ['the active disk'] : [];
  const named =
    snapshots.length === 1
      ? [`snapshot ${describeSnapshot(snapshots[0]!)}`]
      : snapshots.length === 0
        ? []
        : [countText(snapshots.length, 'snapshot')];
  return [...active, ...named].join(' and ');
}
