/** The file that a group edit leaves beside an image while some images have the edit and others have not. */
import { constants, promises } from 'node:fs';
import path from 'node:path';
import { printableText } from '../../base/text.js';
import { isQsnapError, QsnapError } from '../../errors.js';
import {
  decodeGroupRecord,
  encodeGroupRecord,
  groupRecordInvalid,
  RECORD_LIMITS,
  type FoundRecord,
  type GroupRecord,
  type RecordedImage,
  type RecordStore,
} from '../../api/group/record.js';
import type { GroupRequest } from '../../api/group/request.js';
import { newSha256 } from '../sha256.js';
import { closeQuietly, openCalls } from './file-calls.js';
import { fileIdentity } from './identity.js';
import { removeName } from './naming.js';
import type { HostFile } from './open.js';
import { createOutputFile } from './output-file.js';
import { openFailed, readFailed, systemCodeOf, writeFailed } from './system-error.js';

/** Only the owner may read it: it names snapshots and files. */
const MODE = 0o600;

/** One image of a group. */
interface Member {
  /** Where it lies, without links. */
  readonly path: string;
  readonly identity: string;
}

/**
 * The record of the images of a group: `.NAME.qsnap-group` beside the first one that is a file. It is looked for beside
 * all of them, in whatever order they are named.
 */
export class GroupRecordFile implements RecordStore {
  readonly #members: readonly Member[];
  /** Where a record may lie: the first one is where it is written. */
  readonly #places: readonly string[];
  /** Where one was found. */
  #found: string | undefined;

  private constructor(members: readonly Member[], places: readonly string[]) {
    this.#members = members;
    this.#places = places;
  }

  /**
   * @param files of the images of the group, open.
   * @throws QsnapError OPEN_FAILED.
   */
  static async of(files: readonly HostFile[]): Promise<GroupRecordFile> {
    const members: Member[] = [];
    const places: string[] = [];
    for (const file of files) {
      const real = await promises.realpath(file.path).catch((error: unknown) => {
        throw openFailed(file.label, error);
      });
      members.push({ path: real, identity: await file.identity() });
      // What lies beside a device is gone when the system ends.
      const isFile = (await promises.stat(real)).isFile();
      const name = `.${path.basename(real)}.qsnap-group`;
      if (isFile) places.push(path.join(path.dirname(real), name));
    }
    return new GroupRecordFile(members, places);
  }

  async read(): Promise<FoundRecord | undefined> {
    for (const place of this.#places) {
      const bytes = await bytesOf(place);
      if (bytes === undefined) continue;
      this.#found = place;
      return this.#foundRecord(place, this.#decoded(place, bytes));
    }
    this.#found = undefined;
    return undefined;
  }

  #decoded(place: string, bytes: Uint8Array): GroupRecord {
    try {
      return decodeGroupRecord(bytes, newSha256);
    } catch (error) {
      throw isQsnapError(error) ? error.with({ file: place }) : error;
    }
  }

  async #foundRecord(place: string, { request, images }: GroupRecord): Promise<FoundRecord> {
    const files = images.map(({ file }) => path.resolve(path.dirname(place), file));
    const identities: (string | undefined)[] = [];
    for (const file of files) identities.push(await fileIdentity(file));
    const own = this.#members.map(({ identity }) => images[identities.indexOf(identity)]);
    const isOfThese = images.length === own.length && own.every((image) => image !== undefined);
    return {
      label: place,
      request,
      files,
      images: isOfThese ? own : undefined,
    };
  }

  /**
   * The file gets its name when it is complete and on the medium; it takes the place of the one that was found.
   *
   * @throws QsnapError GROUP_INVALID where no image is a file; LIMIT_EXCEEDED; OPEN_FAILED, WRITE_FAILED, NO_SPACE.
   */
  async write(request: GroupRequest, images: readonly RecordedImage[]): Promise<void> {
    const place = this.#place();
    const named = images.map((image, i) => {
      return { file: pathFrom(path.dirname(place), this.#members[i]!.path), ...image };
    });
    const bytes = encodeGroupRecord({ request, images: named }, newSha256);
    const output = await createOutputFile(place, { replace: true, mode: MODE });
    try {
      await output.device.writeBatch([{ at: 0, bytes }]);
      await output.device.flush();
      await output.commit();
    } finally {
      await output.discard();
    }
  }

  async remove(): Promise<void> {
    const place = this.#place();
    try {
      await removeName(place);
    } catch (error) {
      throw writeFailed(place, `remove ${printableText(place)}`, error);
    }
  }

  #place(): string {
    const place = this.#found ?? this.#places[0];
    if (place !== undefined) return place;
    const message =
      'all images of the group are devices: there is no folder for the record of the edit';
    throw new QsnapError('GROUP_INVALID', message, {
      expected: 'at least one image in a file',
      hint: 'edit the devices one by one',
    });
  }
}

/** Relative where it lies below the folder, so that the folder can be moved as a whole. */
function pathFrom(folder: string, file: string): string {
  const relative = path.relative(folder, file);
  const isBelow = !relative.startsWith('..') && !path.isAbsolute(relative);
  return isBelow ? relative : file;
}

/** Undefined where nothing has the name. */
async function bytesOf(place: string): Promise<Uint8Array | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const calls = await openCalls(place, flags).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw openFailed(place, error);
  });
  if (calls === undefined) return undefined;
  try {
    const stats = await calls.stat();
    if (!stats.isFile()) throw groupRecordInvalid('it is no file', { file: place });
    const most = RECORD_LIMITS.bytesMax;
    if (stats.size > most) {
      const found = { actual: `${stats.size} bytes`, expected: `at most ${most} bytes` };
      throw groupRecordInvalid(`it has ${found.actual}`, { file: place, ...found });
    }
    const bytes = new Uint8Array(stats.size);
    for (let at = 0; at < bytes.length;) {
      const read = await calls.read([bytes.subarray(at)], at);
      if (read === 0) return bytes.subarray(0, at);
      at += read;
    }
    return bytes;
  } catch (error) {
    throw readFailed(place, `read ${printableText(place)}`, error);
  } finally {
    await closeQuietly(calls);
  }
}
