/**
 * Makes group edits on recording devices, and every state of all images and of the record that a power cut could have
 * left.
 */
import type { ImageGroup } from '../../src/api/group/image-group.js';
import type { ResumingOptions } from '../../src/api/options.js';
import { openImage } from '../../src/image/open.js';
import type { BlockDevice } from '../../src/io/device.js';
import { memoryDevice } from '../../src/io/memory.js';
import { planRename } from '../../src/edit/snapshot/rename.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { Contents } from './crash-judge.js';
import { editNamed } from './crash-judge-edits.js';
import { loadFixture } from './fixture.js';
import { groupOf, MemoryRecord, named } from './group.js';
import type { Random } from './model-random.js';
import { crashStates, recordingDevice, type RecordingDevice } from './recording-device.js';

/** What is done to a group, and what that makes of what an image holds. */
export interface GroupEdit {
  readonly name: string;
  readonly make: (group: ImageGroup<BlockDevice>) => Promise<unknown>;
  /** What `resume` has to be told again. */
  readonly resuming?: ResumingOptions;
  readonly model: (before: Contents) => Contents;
}

export const NEW_NAME = 'between two states';
const DATE = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };

export const GROUP_EDITS: readonly GroupEdit[] = [
  {
    name: 'create',
    make: (group) => group.create(NEW_NAME, { date: DATE }),
    model: editNamed('create').model,
  },
  {
    name: 'apply',
    make: (group) => group.apply('first', { discardChanges: true }),
    resuming: { discardChanges: true },
    model: editNamed('apply the first').model,
  },
  {
    name: 'save and apply',
    make: (group) => group.apply('last', { saveAs: NEW_NAME, date: DATE }),
    model: editNamed('save and apply the last').model,
  },
  {
    name: 'delete one',
    make: (group) => group.delete('first'),
    model: editNamed('delete the first').model,
  },
  {
    name: 'delete two',
    make: (group) => group.delete(['last', 'first']),
    model: ({ active, snapshots }) => ({ active, snapshots: snapshots.slice(1, -1) }),
  },
];

/** A fixture whose first and last snapshots are called so. */
export async function alike(fixture: string): Promise<Uint8Array> {
  const device = memoryDevice(loadFixture(fixture));
  for (const [at, name] of [
    [0, 'first'],
    [-1, 'last'],
  ] as const) {
    const image = await openImage(device);
    await executePlan(await planRename(image, image.snapshots.at(at)!, name));
  }
  return device.snapshotBytes();
}

/** The images and the record at one moment. */
export interface GroupState {
  readonly images: readonly Uint8Array[];
  readonly record: Uint8Array | undefined;
  readonly description: string;
}

/** How much was sent when a flush or a change of the record began. */
interface Moment {
  /** Lengths of the devices' logs. */
  readonly sent: readonly number[];
  /** What the record may be. */
  readonly records: readonly (Uint8Array | undefined)[];
}

/** A group edit as it was recorded. */
export interface Recording {
  readonly devices: readonly RecordingDevice[];
  readonly record: MemoryRecord;
  readonly moments: readonly Moment[];
  readonly error: unknown;
}

export interface RecordingOptions {
  readonly record?: Uint8Array | undefined;
  /** Prepares the devices: lets one fail. */
  readonly prepare?: (devices: readonly RecordingDevice[], record: MemoryRecord) => void;
}

/** Makes an edit, or fails to, and keeps all that was sent in its order. */
export async function recorded(
  images: readonly Uint8Array[],
  make: GroupEdit['make'],
  options: RecordingOptions = {},
): Promise<Recording> {
  const record = new MemoryRecord(options.record);
  const moments: Moment[] = [];
  const devices = images.map((bytes, i) => named(recordingDevice(bytes), `image ${i}`));
  options.prepare?.(devices, record);
  const fails = record.onChange;
  const now = (...records: Moment['records']): void => {
    moments.push({ sent: devices.map(({ log }) => log.length), records });
  };
  for (const device of devices) {
    const flush = device.flush.bind(device);
    device.flush = () => {
      now(record.bytes);
      return flush();
    };
  }
  let before = record.bytes;
  record.onChange = (what) => {
    fails(what);
    if (what === 'prepare') return;
    before = record.bytes;
    // What it becomes is known once it is there.
    queueMicrotask(() => {
      now(before, record.bytes);
    });
  };
  let error: unknown;
  try {
    await make(groupOf(devices, record));
  } catch (caught) {
    error = caught;
  }
  now(record.bytes);
  return { devices, record, moments, error };
}

export interface GroupCutOptions {
  readonly seed: number;
  readonly subsetLimit: number;
  readonly samples: number;
  /** How many states are made of all that the images may be at one moment. */
  readonly most: number;
}

/** The states that a cut may leave, moment by moment. */
export function* groupStates(
  { devices, moments }: Recording,
  images: readonly Uint8Array[],
  random: Random,
  options: GroupCutOptions,
): Generator<GroupState> {
  for (const [m, { sent, records }] of moments.entries()) {
    const perImage = devices.map(({ log }, i) =>
      statesOf(log.slice(0, sent[i]), images[i]!, options),
    );
    const all = perImage.reduce((product, { length }) => product * length, records.length);
    for (let n = 0; n < Math.min(all, options.most); n += 1) {
      // All of them where they are few, else some.
      let index = all <= options.most ? n : random.below(all);
      const next = (length: number): number => {
        const chosen = index % length;
        index = Math.floor(index / length);
        return chosen;
      };
      const record = records[next(records.length)];
      const chosen = perImage.map((states) => states[next(states.length)]!);
      const parts = chosen.map(({ description }, i) => `image ${i} ${description}`);
      yield {
        images: chosen.map(({ bytes }) => bytes),
        record,
        description: `moment ${m}: ${parts.join(' | ')} | ${record === undefined ? 'no' : 'a'} record`,
      };
    }
  }
}

/** What one image may be once this much was sent. */
function statesOf(
  log: RecordingDevice['log'],
  bytes: Uint8Array,
  options: GroupCutOptions,
): readonly { readonly bytes: Uint8Array; readonly description: string }[] {
  const last = log.filter(({ kind }) => kind === 'flush').length;
  return [...crashStates(log, bytes, options)].filter(({ barrier }) => barrier === last);
}
