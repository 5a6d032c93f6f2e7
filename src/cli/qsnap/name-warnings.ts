import type { Image, Snapshot } from '../../index.js';
import { printableText } from '../../internal.js';
import { newTwoMeanings, type Named } from '../two-meanings.js';
import { printWarning, type Context } from './context.js';
import type { AnyEdit } from './present/any-edit.js';

/** A snapshot and what it is called from now on. */
export interface Renamed {
  readonly snapshot: Snapshot;
  readonly name: string;
}

/** Warns of names that an edit gives and of which other programs take the wrong snapshot. */
export function warnOfNames(
  path: string,
  { created }: Pick<AnyEdit, 'created'>,
  { snapshots }: Pick<Image, 'snapshots'>,
  renamed: Renamed | undefined,
  context: Context,
): void {
  const named: readonly Named[] = snapshots;
  const found = created.flatMap((fresh) => newTwoMeanings(named, fresh));
  if (renamed !== undefined) {
    const { snapshot, name } = renamed;
    const others = named.filter((other) => other !== snapshot);
    found.push(...newTwoMeanings(others, { id: snapshot.id, name }, [name]));
  }
  for (const { byId, byName } of found) {
    const [id, name] = [printableText(byId.id), printableText(byId.name)];
    printWarning(
      context,
      `${printableText(path)}: "${id}" is the id of snapshot ${id} "${name}" and the name of snapshot ` +
        `${printableText(byName.id)}: \`qemu-img snapshot -a\` takes the id, libvirt means the name`,
    );
  }
}
