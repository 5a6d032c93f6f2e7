import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { isQsnapError, openForReading, type ReadableImage } from '../../../index.js';
import { isUrl } from '../../remote/location.js';
import { openSource } from '../../remote/open-source.js';

/** One version of a file, told from every other one as far as a look at its name tells. */
export interface FileVersion {
  readonly text: string;
  /** What of it every host tells alike: numbers of devices and inodes are a host's own. */
  readonly onAnyHost: string;
  /** Milliseconds since the Epoch. */
  readonly modifiedAt: number | undefined;
}

/**
 * Which version of a file is there now: size, time and inode, or what a server says.
 *
 * @throws QsnapError and errors of the system: why nobody can tell.
 */
export async function versionOf(location: string): Promise<FileVersion> {
  if (isUrl(location)) {
    const source = await openSource(location);
    const text = source.version ?? UNKNOWN_VERSION;
    await source.close();
    return { text, onAnyHost: text, modifiedAt: undefined };
  }
  const { size, mtimeNs, mtimeMs, dev, ino } = await stat(location, { bigint: true });
  const onAnyHost = `${size}:${mtimeNs}`;
  return { text: `${onAnyHost}:${dev}:${ino}`, onAnyHost, modifiedAt: Number(mtimeMs) };
}

/** What stands for a version that a server does not tell from others: it may be another one each time. */
export const UNKNOWN_VERSION = 'unknown';

/** What stands for the digest where the file is no image. */
export const NO_TABLES = 'none';

/**
 * The version and the digest of the tables at the top: a tool may change these and put the time back.
 *
 * @throws QsnapError and errors of the system: why it can't be opened.
 */
export async function stampOf(location: string): Promise<string> {
  const { text } = await versionOf(location);
  if (isUrl(location)) return text;
  const source = await openSource(location, { forceShare: true });
  try {
    return `${text}:${await digestOfTables(await openForReading(source))}`;
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    return `${text}:${NO_TABLES}`;
  } finally {
    await source.close();
  }
}

/** The stamp of an image that is open. */
export function stampWith({ text }: FileVersion, location: string, tables: string): string {
  return isUrl(location) ? text : `${text}:${tables}`;
}

/** The version of an image that is open, for workers on other hosts. */
export function versionOnAnyHost(
  { onAnyHost }: FileVersion,
  location: string,
  tables: string,
): string {
  return isUrl(location) ? onAnyHost : `${onAnyHost}:${tables}`;
}

/** The SHA-256 of the header cluster and the snapshot table. */
export async function digestOfTables(image: ReadableImage): Promise<string> {
  const { source, header, geometry, snapshotTableBytes, fileSizeBytes } = image;
  const head = new Uint8Array(Math.min(geometry.clusterBytes, fileSizeBytes));
  const table = new Uint8Array(snapshotTableBytes);
  await source.readBatch([
    { at: 0, into: head },
    ...(table.length > 0 ? [{ at: header.snapshotTable.at, into: table }] : []),
  ]);
  return createHash('sha256').update(head).update(table).digest('hex');
}
