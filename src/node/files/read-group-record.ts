/** Reads the file that may be the record of a group edit, whoever made it. */
import { constants, type Stats } from 'node:fs';
import { printableText } from '../../base/text.js';
import { groupRecordInvalid, RECORD_LIMITS } from '../../api/group/record.js';
import { closeQuietly, openCalls, type NodeFileCalls } from './file-calls.js';
import { openFailed, readFailed, systemCodeOf } from './system-error.js';

/** How systems say that they follow no link: Linux and macOS; FreeBSD. */
const IS_LINK: ReadonlySet<string> = new Set(['ELOOP', 'EMLINK']);

/** Where a record may lie. */
export interface RecordPlace {
  readonly path: string;
  /** The image that it lies beside. */
  readonly image: string;
  readonly imageOwner: number;
}

/**
 * @returns undefined where nothing has the name.
 * @throws QsnapError GROUP_RECORD_INVALID for a link, what is no file, a file that is too long, or one of a user who has
 *   no say in the image; OPEN_FAILED, READ_FAILED.
 */
export async function bytesOfRecord(place: RecordPlace): Promise<Uint8Array | undefined> {
  const { path } = place;
  const calls = await opened(path);
  if (calls === undefined) return undefined;
  try {
    const stats = await calls.stat();
    refuseStranger(place, stats);
    return await allBytes(calls, stats.size);
  } catch (error) {
    throw readFailed(path, `read ${printableText(path)}`, error);
  } finally {
    await closeQuietly(calls);
  }
}

async function opened(path: string): Promise<NodeFileCalls | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return await openCalls(path, flags);
  } catch (error) {
    const code = systemCodeOf(error) ?? '';
    if (code === 'ENOENT') return undefined;
    if (IS_LINK.has(code)) throw groupRecordInvalid('it is a symbolic link', { file: path });
    throw openFailed(path, error);
  }
}

/** In a folder where others may make files, anybody could choose which edit is resumed. */
function refuseStranger({ path, image, imageOwner }: RecordPlace, stats: Stats): void {
  const file = path;
  if (!stats.isFile()) throw groupRecordInvalid('it is no file', { file });
  const most = RECORD_LIMITS.bytesMax;
  if (stats.size > most) {
    const found = { actual: `${stats.size} bytes`, expected: `at most ${most} bytes` };
    throw groupRecordInvalid(`it has ${found.actual}`, { file, ...found });
  }
  const own = process.geteuid?.();
  // Without users every file belongs to the one who asks.
  if (own === undefined || [own, 0, imageOwner].includes(stats.uid)) return;
  const reason =
    `it belongs to user ${stats.uid}, who is neither you, nor root, nor the owner of ` +
    printableText(image);
  const hint = 'look who made it: if it is right, make yourself its owner; if it is not, remove it';
  throw groupRecordInvalid(reason, { file, actual: `user ${stats.uid}`, hint });
}

async function allBytes(calls: NodeFileCalls, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < bytes.length;) {
    const read = await calls.read([bytes.subarray(at)], at);
    if (read === 0) return bytes.subarray(0, at);
    at += read;
  }
  return bytes;
}
