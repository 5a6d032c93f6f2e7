/** The file that a group edit leaves beside an image while some images have the edit and others have not. */
import { constants, promises } from 'node:fs';
import path from 'node:path';
import { assert } from '../../base/assert.js';
import { printableText } from '../../base/text.js';
import { isQsnapError, QsnapError } from '../../errors.js';
import {
  decodeGroupRecord,
  encodeGroupRecord,
  type FoundRecord,
  type GroupRecord,
  type RecordedImage,
  type RecordStore,
} from '../../api/group/record.js';
import type { GroupRequest } from '../../api/group/request.js';
import { newSha256 } from '../sha256.js';
import { recordPathOf } from './group-record-name.js';
import { fileIdentity } from './identity.js';
import { removeName } from './naming.js';
import type { HostFile } from './open.js';
import { createOutputFile, partialNameOf, type OutputFile } from './output-file.js';
import { removeLeftover } from './partial-file.js';
import { bytesOfRecord, type RecordPlace } from './read-group-record.js';
import { openFailed, writeFailed } from './system-error.js';

/** Only the owner may read it: it names snapshots and files. */
const MODE = 0o600;

const OTHER_FIRST =
  'name another image of the group first: the record of the edit lies beside the first one';

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
  readonly #places: readonly RecordPlace[];
  /** Where one was found. */
  #found: string | undefined;
  /** The one that is written, under its temporary name. */
  #output: OutputFile | undefined;

  private constructor(members: readonly Member[], places: readonly RecordPlace[]) {
    this.#members = members;
    this.#places = places;
  }

  /**
   * @param files of the images of the group, open.
   * @throws QsnapError OPEN_FAILED.
   */
  static async of(files: readonly HostFile[]): Promise<GroupRecordFile> {
    const members: Member[] = [];
    const places: RecordPlace[] = [];
    for (const file of files) {
      const real = await promises.realpath(file.path).catch((error: unknown) => {
        throw openFailed(file.label, error);
      });
      members.push({ path: real, identity: await file.identity() });
      // What lies beside a device is gone when the system ends.
      const stats = await promises.stat(real);
      if (!stats.isFile()) continue;
      places.push({ path: recordPathOf(real), image: file.label, imageOwner: stats.uid });
    }
    return new GroupRecordFile(members, places);
  }

  async read(): Promise<FoundRecord | undefined> {
    for (const place of this.#places) {
      const bytes = await bytesOfRecord(place);
      if (bytes === undefined) continue;
      this.#found = place.path;
      return this.#foundRecord(place.path, this.#decoded(place.path, bytes));
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

  async foretell(): Promise<void> {
    const folder = path.dirname(this.#place());
    try {
      await promises.access(folder, constants.W_OK | constants.X_OK);
    } catch (error) {
      throw openFailed(folder, error).with({ hint: OTHER_FIRST });
    }
  }

  async prepare(): Promise<void> {
    const place = this.#place();
    try {
      this.#output = await createOutputFile(place, { replace: true, mode: MODE });
    } catch (error) {
      const isChosen = this.#found === undefined;
      const isFolder = isQsnapError(error) && error.code === 'OPEN_FAILED';
      throw isChosen && isFolder ? error.with({ hint: OTHER_FIRST }) : error;
    }
  }

  /**
   * The file gets its name when it is complete and on the medium; it takes the place of the one that was found.
   *
   * @throws QsnapError LIMIT_EXCEEDED; WRITE_FAILED, NO_SPACE.
   */
  async write(request: GroupRequest, images: readonly RecordedImage[]): Promise<void> {
    assert(this.#output !== undefined, 'a record is prepared before it is written');
    const folder = path.dirname(this.#place());
    const named = images.map((image, i) => {
      return { file: pathFrom(folder, this.#members[i]!.path), ...image };
    });
    const bytes = encodeGroupRecord({ request, images: named }, newSha256);
    await this.#output.device.writeBatch([{ at: 0, bytes }]);
    await this.#output.device.flush();
    await this.#output.commit();
  }

  async discard(): Promise<void> {
    await this.#output?.discard();
    this.#output = undefined;
  }

  async sweep(): Promise<void> {
    for (const place of this.#places) {
      try {
        await removeLeftover(partialNameOf(place.path));
      } catch (error) {
        // It is no half record, or somebody else's: it harms nobody.
        if (!isQsnapError(error)) throw error;
      }
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
    const place = this.#found ?? this.#places[0]?.path;
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
