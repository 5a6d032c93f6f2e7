/** What an edit of an image makes wrong in what libvirt knows, and the commands that mend it. */
import type { Snapshot } from '../../../index.js';
import type { Named } from '../../two-meanings.js';
import type { DoneEdit, Words } from './done-edit.js';
import type { KnownSnapshot } from './domain-xml.js';
import type { ImageNames, ManagedDomain } from './managed-domains.js';
import {
  currentCommand,
  forgetCommand,
  knowCommand,
  renameCommands,
  type VirshTarget,
} from './virsh.js';

/** The images that an edit was made of, by what libvirt may call them. */
export interface EditedNames {
  readonly own: ImageNames;
  /** Those of a group, the own one too. */
  readonly all: readonly ImageNames[];
  readonly words: Words;
}

export interface Stale {
  readonly text: string;
  readonly commands: readonly string[];
}

/** What is stale in a domain, each with the commands that mend it: those of later ones rely on the earlier ones. */
export function staleIn(
  domain: ManagedDomain,
  edit: DoneEdit,
  names: EditedNames,
): readonly Stale[] {
  const known = new Map(
    domain.snapshots
      .filter(({ images }) => images.some((image) => names.own.isAt(image)))
      .map((snapshot) => [snapshot.name, snapshot]),
  );
  const isUsed = known.size > 0 || domain.images.some((image) => names.own.isAt(image));
  const current = domain.snapshots.find(({ isCurrent }) => isCurrent)?.name;
  const virsh = { domain, words: names.words };
  const made = { domain, virsh, edit, names, known, current };
  return [
    ...staleNames(made),
    ...(isUsed ? edit.created.flatMap((one) => unlisted(made, one)) : []),
    ...(isUsed && edit.applied !== undefined ? staleCurrent(made, edit.applied) : []),
  ];
}

interface Found {
  readonly domain: ManagedDomain;
  readonly virsh: VirshTarget;
  readonly edit: DoneEdit;
  readonly names: EditedNames;
  /** What libvirt takes to be in this image, by name. */
  readonly known: ReadonlyMap<string, KnownSnapshot>;
  readonly current: string | undefined;
}

/** Names that no snapshot of the image has any more. */
function staleNames({ virsh, edit, names, known }: Found): readonly Stale[] {
  const { words } = names;
  const { deleted = [], renamed, created, image } = edit;
  const gone = renamed === undefined ? deleted : [renamed.snapshot];
  // By place: what a prune deletes was chosen when the image was opened before.
  const places = new Set(gone.map(({ index }) => index));
  const staying = image.snapshots.filter(({ index }) => !places.has(index));
  const left = new Set(staying.map(({ name }) => name));
  for (const { name } of created) left.add(name);
  return gone.flatMap(({ name }) => {
    const snapshot = known.get(name);
    if (snapshot === undefined || left.has(name) || name === renamed?.name) return [];
    const others = without(snapshot.images, names);
    const also = others.length === 0 ? '' : `, and takes it to be in ${listed(others, words)}, too`;
    if (renamed === undefined) {
      const text = `still lists the snapshot "${words.printable(name)}"${also}`;
      return { text, commands: forgetCommand(virsh, name) };
    }
    const text = `still knows the snapshot by its old name "${words.printable(name)}"${also}`;
    return { text, commands: renameCommands(virsh, snapshot, renamed.name) };
  });
}

/** libvirt lists what it made itself. */
function unlisted(
  { domain, virsh, edit, names, current }: Found,
  { name }: Named,
): readonly Stale[] {
  const { words } = names;
  if (domain.snapshots.some((one) => one.name === name)) return [];
  const others = without(domain.images, names);
  const needs =
    others.length === 0 ? '' : `; it can revert to it once ${listed(others, words)} has such a one`;
  const seconds = edit.date?.seconds ?? 0;
  const commands = knowCommand(virsh, { name, seconds, parent: current, vmState: false });
  return [{ text: `does not list the new snapshot "${words.printable(name)}"${needs}`, commands }];
}

/** libvirt's next snapshot gets its current one for a parent. */
function staleCurrent(
  { virsh, names, known, current }: Found,
  applied: Snapshot,
): readonly Stale[] {
  const { words } = names;
  const { name, date, vmStateBytes } = applied;
  if (current === name) return [];
  const now = current === undefined ? 'none' : `"${words.printable(current)}"`;
  const text = `takes ${now} for its current snapshot, not "${words.printable(name)}"`;
  if (known.has(name)) return [{ text, commands: currentCommand(virsh, name) }];
  const vmState = vmStateBytes > 0;
  const commands = knowCommand(virsh, { name, seconds: date.seconds, parent: undefined, vmState });
  return [{ text: `${text}, which it does not list`, commands }];
}

const without = (images: readonly string[], { all }: EditedNames): readonly string[] =>
  images.filter((one) => !all.some((names) => names.isAt(one)));

const listed = (paths: readonly string[], words: Words): string =>
  paths.map((one) => words.printable(one)).join(', ');
