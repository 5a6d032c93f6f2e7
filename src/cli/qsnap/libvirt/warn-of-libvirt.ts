import type { DoneEdit, Words } from './done-edit.js';
import { ImageNames, managedDomains } from './managed-domains.js';
import type { FoundPlace } from './places.js';
import { staleIn } from './stale.js';

/** More than these are counted. */
const SHOWN_MAX = 50;

/** Warns of all that is stale; the commands of an image may rely on those before them. */
export function warnOfLibvirt(
  places: readonly FoundPlace[],
  edits: readonly DoneEdit[],
  words: Words,
): void {
  const named = edits.map((edit) => ({ edit, own: new ImageNames(edit.path) }));
  const all = named.map(({ own }) => own);
  const { domains, isCut } = managedDomains(places, all);
  const said = new Set<string>();
  for (const domain of domains) {
    const whose = `libvirt's domain "${words.printable(domain.name)}"`;
    for (const { edit, own } of named) {
      for (const { text, commands } of staleIn(domain, edit, { own, all, words })) {
        // Images of a group have the same snapshots.
        const isNew = said.size < said.add(`${whose} ${text}`).size;
        if (!isNew || said.size > SHOWN_MAX) continue;
        const mends = commands.map((command) => `\n  ${command}`).join('');
        const how = commands.length === 0 ? '' : '; to mend that:';
        words.warn(`${words.printable(edit.path)}: ${whose} ${text}${how}${mends}`);
      }
    }
  }
  const more = said.size - SHOWN_MAX;
  if (more > 0) words.warn(`${more} more of what libvirt knows is no longer so`);
  if (isCut) words.warn('libvirt has more files than qsnap looks at for this image');
}
