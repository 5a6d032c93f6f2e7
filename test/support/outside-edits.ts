/** Edits as command lines of the built programs, each on an image of its own folder. */
import { cpSync, existsSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readPlain } from './crash-judge-image.js';
import { copyCompanions } from './fixture.js';
import type { Condition } from './outside-images.js';

const BIN = fileURLToPath(new URL('../../bin/', import.meta.url));
/** POSIX: what a shell's limit of the size of files counts. */
const LIMIT_UNIT_BYTES = 512;

/** The argument vector that runs one of the built programs. */
export function programArgv(
  program: 'qsnap' | 'qsnap-img',
  argv: readonly string[],
): readonly string[] {
  if (!existsSync(path.join(BIN, `../dist/cli/${program}/${program}.cjs`))) {
    throw new Error('run `npm run build` first: these tests run dist/');
  }
  return [process.execPath, path.join(BIN, `${program}.js`), ...argv];
}

/** The name of every snapshot that these edits make, and what they rename one to. */
export const NEW_NAME = 'made from outside';
const DATE = '@1700000000.5';

/** An image whose refcounts of 2 bits are so high that no snapshot can be added. */
export const FULL_COUNTS = 'refcount-2';

/**
 * Images with L2 tables that may have been emptied: leaks are doubted there, and stay. What a kill of a delete in place
 * leaves is refused there by the next edit, until it is repaired.
 */
export const DOUBTED: Readonly<Record<string, readonly Condition[]>> = {
  'vm-state-v2': ['leaking', 'uncounted', 'damaged', 'repaired', 'full'],
};

/** An image in a folder. */
export interface Workplace {
  readonly folder: string;
  readonly image: string;
  /** Ids of the snapshots that the image had at first, in the order of its table. */
  readonly ids: readonly string[];
  /** Their names. */
  readonly names: readonly string[];
}

export interface OutsideEdit {
  readonly name: string;
  readonly program: 'qsnap' | 'qsnap-img';
  /** How many snapshots an image must have for it. */
  readonly needs: number;
  readonly on: Condition;
  /** Snapshots are deleted in place: a cut may leave refcounts that are too high. */
  readonly inPlace?: boolean;
  /** The file may not become longer than it is. */
  readonly limited?: boolean;
  /** Whether the active disk changes, which QEMU refuses to some images. */
  readonly applies?: boolean;
  readonly argv: (place: Workplace) => readonly string[];
  /** Name of a file in the folder that is the result, where the image is only read. */
  readonly output?: { readonly name: string; readonly before: 'nothing' | 'an old file' };
  /** Name of a file that is made beside the image. */
  readonly beside?: string;
}

/** Ids or names of the snapshots of an image, in the order of its table. */
export function snapshotWords(file: Uint8Array, what: 'id' | 'name'): string[] {
  return readPlain(file).snapshots.map(({ facts }) => {
    const hex = facts.split(' ')[what === 'id' ? 0 : 1]!;
    return Buffer.from(hex, 'hex').toString('utf8');
  });
}

type EditTerms = Omit<OutsideEdit, 'program' | 'on' | 'argv' | 'needs'> &
  Partial<Pick<OutsideEdit, 'program' | 'on' | 'needs'>>;

/** An edit with what most edits have. */
function edit(terms: EditTerms, argv: OutsideEdit['argv']): OutsideEdit {
  return { program: 'qsnap', on: 'sound', needs: 1, ...terms, argv };
}

/** An edit by qsnap-img. */
const imgEdit = (terms: EditTerms, argv: OutsideEdit['argv']): OutsideEdit =>
  edit({ program: 'qsnap-img', ...terms }, argv);

const first = ({ ids }: Workplace): string => `id:${ids[0]!}`;
const last = ({ ids }: Workplace): string => `id:${ids.at(-1)!}`;
const inFolder = ({ folder }: Workplace, name: string): string => path.join(folder, name);

const SNAPSHOT_EDITS: readonly OutsideEdit[] = [
  edit({ name: 'create', needs: 0 }, (at) => ['create', '--date', DATE, at.image, NEW_NAME]),
  edit({ name: 'apply', applies: true }, (at) => {
    return ['apply', '--discard-changes', at.image, first(at)];
  }),
  edit({ name: 'apply --save-as', applies: true }, (at) => {
    return ['apply', '--save-as', NEW_NAME, at.image, first(at)];
  }),
  edit({ name: 'delete one' }, (at) => ['delete', at.image, first(at)]),
  edit({ name: 'delete many', needs: 3 }, (at) => {
    return ['delete', at.image, ...at.ids.slice(1).map((id) => `id:${id}`)];
  }),
  edit({ name: 'rename' }, (at) => ['rename', at.image, last(at), NEW_NAME]),
  imgEdit({ name: 'snapshot -c', needs: 0 }, (at) => ['snapshot', '-c', NEW_NAME, at.image]),
  imgEdit({ name: 'snapshot -a', applies: true }, (at) => {
    return ['snapshot', '-a', at.ids[0]!, at.image];
  }),
  imgEdit({ name: 'snapshot -d' }, (at) => ['snapshot', '-d', at.names[0]!, at.image]),
];

const IN_PLACE = { on: 'full', inPlace: true } as const;

const DELETES_IN_PLACE: readonly OutsideEdit[] = [
  edit({ name: 'delete --in-place', ...IN_PLACE }, (at) => {
    return ['delete', '--in-place', at.image, first(at)];
  }),
  edit({ name: 'delete --in-place, the last', needs: 2, ...IN_PLACE }, (at) => {
    return ['delete', '--in-place', at.image, last(at)];
  }),
  edit({ name: 'delete --in-place, many', needs: 3, ...IN_PLACE }, (at) => {
    return ['delete', '--in-place', at.image, ...at.ids.slice(1).map((id) => `id:${id}`)];
  }),
  imgEdit({ name: 'snapshot -d, no room', limited: true, ...IN_PLACE }, (at) => {
    return ['snapshot', '-d', at.names.at(-1)!, at.image];
  }),
];

const SIZE_EDITS: readonly OutsideEdit[] = [
  imgEdit({ name: 'resize', needs: 0 }, (at) => ['resize', '-f', 'qcow2', at.image, '+3M']),
  imgEdit({ name: 'resize --shrink', needs: 0 }, (at) => {
    return ['resize', '-f', 'qcow2', '--shrink', at.image, '64k'];
  }),
];

const TRIMS: readonly OutsideEdit[] = [
  edit({ name: 'trim', needs: 0 }, (at) => ['trim', at.image]),
  edit({ name: 'trim --relocate', needs: 0 }, (at) => ['trim', '--relocate', at.image]),
];

const SCRUBS: readonly OutsideEdit[] = [
  edit({ name: 'scrub', needs: 0 }, (at) => ['scrub', at.image]),
  edit({ name: 'scrub --punch', needs: 0 }, (at) => ['scrub', '--punch', at.image]),
];

const REPAIRS: readonly OutsideEdit[] = [
  edit({ name: 'repair', on: 'damaged', needs: 0 }, (at) => ['repair', at.image]),
  edit({ name: 'repair --undo', on: 'damaged', needs: 0, beside: 'undo' }, (at) => {
    return ['repair', '--undo', inFolder(at, 'undo'), at.image];
  }),
  edit({ name: 'undo', on: 'repaired', needs: 0, beside: 'undo' }, (at) => {
    return ['undo', inFolder(at, 'undo'), at.image];
  }),
  edit({ name: 'repair all', on: 'uncounted', needs: 0 }, (at) => ['repair', at.image, 'all']),
  edit({ name: 'repair leaks --punch', on: 'leaking', needs: 0 }, (at) => {
    return ['repair', at.image, 'leaks', '--punch'];
  }),
  edit({ name: 'repair perhaps-lost', on: 'unlisted' }, (at) => {
    return ['repair', at.image, 'perhaps-lost'];
  }),
  edit({ name: 'repair perhaps-lost --punch --undo', on: 'unlisted', beside: 'undo' }, (at) => {
    return ['repair', at.image, 'perhaps-lost', '--punch', '--undo', inFolder(at, 'undo')];
  }),
];

const COPIES: readonly OutsideEdit[] = [
  edit({ name: 'export', output: { name: 'out.raw', before: 'nothing' } }, (at) => {
    return ['export', at.image, first(at), '-o', inFolder(at, 'out.raw')];
  }),
  edit({ name: 'export --force', output: { name: 'out.qcow2', before: 'an old file' } }, (at) => {
    const words = ['export', '--force', '--format', 'qcow2', '--compress', 'zlib'];
    return [...words, at.image, last(at), '-o', inFolder(at, 'out.qcow2')];
  }),
  imgEdit({ name: 'convert', needs: 0, output: { name: 'out.qcow2', before: 'nothing' } }, (at) => [
    'convert',
    '-O',
    'qcow2',
    at.image,
    inFolder(at, 'out.qcow2'),
  ]),
];

const COMPACT_COPIES: readonly OutsideEdit[] = [
  edit({ name: 'compact', needs: 0, output: { name: 'out.qcow2', before: 'nothing' } }, (at) => {
    return ['compact', at.image, '-o', inFolder(at, 'out.qcow2')];
  }),
  edit({ name: 'compact --force', output: { name: 'out.qcow2', before: 'an old file' } }, (at) => {
    const words = ['compact', '--force', '--drop-zeros', '--dedupe', '-c', 'zlib'];
    return [...words, at.image, '-o', inFolder(at, 'out.qcow2')];
  }),
];

export const OUTSIDE_EDITS = [
  ...SNAPSHOT_EDITS,
  ...SIZE_EDITS,
  ...REPAIRS,
  ...COPIES,
  ...DELETES_IN_PLACE,
  // A slice of a seed is chosen by position: what is new comes last.
  ...TRIMS,
  ...COMPACT_COPIES,
  ...SCRUBS,
];

export function outsideEdit(name: string): OutsideEdit {
  const found = OUTSIDE_EDITS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no edit is called ${name}`);
  return found;
}

/** The argument vector of an edit, within its limit. */
export function commandOf(one: OutsideEdit, place: Workplace): readonly string[] {
  const plain = programArgv(one.program, one.argv(place));
  if (one.limited !== true) return plain;
  const units = Math.floor(statSync(place.image).size / LIMIT_UNIT_BYTES);
  return ['sh', '-c', `ulimit -f ${units}; trap '' XFSZ; exec "$0" "$@"`, ...plain];
}

/** Puts an image and the files that it names into a folder. */
export function settle(folder: string, fixture: string, bytes: Uint8Array): Workplace {
  copyCompanions(fixture, folder);
  const image = path.join(folder, 'image.qcow2');
  writeFileSync(image, bytes);
  return { folder, image, ids: snapshotWords(bytes, 'id'), names: snapshotWords(bytes, 'name') };
}

/** The same in a copy of the folder. */
export function copyWorkplace(place: Workplace, to: string): Workplace {
  cpSync(place.folder, to, { recursive: true });
  return { ...place, folder: to, image: path.join(to, 'image.qcow2') };
}
